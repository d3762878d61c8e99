"""One URL asked for: from its address to its last byte, with every check between.

Modules, each importing only those above it::

    special      IANA's registries of special-purpose addresses
    addresses    where a URL leads: parsing, `resolve`, refused addresses
    proxies      proxies of the environment, where the configuration allows them
    resolver     names to addresses that may be asked
    answer       what came of asking for a URL: all that whoever asks hands on
    head         what an answer says before its body
    broken       what libcurl says of a request that fails, as a status
    trust        certificate authorities, in a file for libcurl
    driving      libcurl's sockets and deadlines, driven by an event loop
    transfers    libcurl: requests of which every address is checked, and every part of the answer as it comes
    second_look  answers that libcurl refuses and browsers show
    codings      content codings, undone
    receiving    takes an image's answer, judged part by part, and a small file's
    ending       what ends the asking for a URL, as the status of its answer
    gate         leave to send a request: the host's name, its turn, pauses, the end of the run
    sending      sends one request, and once more where libcurl refuses an answer that a browser may show
    site_files   asks for robots.txt and tdmrep.json, once for all images of an origin
    permission   heeds them
    client       asks for one URL once: redirects by hand, deadlines, limits, headers before bodies
"""
