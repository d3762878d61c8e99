"use strict";
// The page itself: what was asked is turned into keys, the shards in which these would be are loaded, and the answer is shown.

const shards = new Map();
let latest = 0;

// Called by each shard: its number, the bytes of a set's number, the sets, and the names.
function found(number, wide, sets, packed) {
  shards.set(number, { wide, sets, names: atob(packed) });
}

function shardOf(name) {
  return LISTS.bits ? Number(BigInt(`0x${name}`) >> BigInt(64 - LISTS.bits)) : 0;
}

function load(number) {
  if (shards.has(number)) return Promise.resolve();
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    const name = number.toString(16).padStart(LISTS.digits, "0");
    // A browser keeps what it has loaded, and each version has files of the same names: those of another would answer wrongly.
    script.src = `find/${name}.js?${LISTS.digest}`;
    script.onload = () => (shards.has(number) ? done() : failed(new Error(`find/${name}.js`)));
    script.onerror = () => failed(new Error(`find/${name}.js`));
    document.head.append(script);
  }).finally(() => document.head.querySelectorAll("script[src]").forEach((script) => script.remove()));
}

// What a shard that is loaded says of a name: [[source, licence], …], or nothing.
function look(name) {
  const shard = shards.get(shardOf(name));
  const wanted = String.fromCharCode(...bytesOf(name).slice(LISTS.skip, LISTS.skip + LISTS.name_bytes));
  const step = LISTS.name_bytes + shard.wide;
  let [low, high] = [0, shard.names.length / step];
  while (low < high) {
    const middle = (low + high) >> 1;
    const there = shard.names.slice(middle * step, middle * step + LISTS.name_bytes);
    if (there === wanted) {
      let set = 0;
      for (let at = 0; at < shard.wide; at++) set = 256 * set + shard.names.charCodeAt(middle * step + LISTS.name_bytes + at);
      return shard.sets[set];
    }
    if (there < wanted) low = middle + 1; else high = middle;
  }
  return [];
}

// Answer what was asked: the meaning, and [[source, licence], …] of the rows that have it.
async function lookUp(meaning) {
  const names = keysOf(meaning);
  await Promise.all([...new Set(names.map(shardOf))].map(load));
  const rows = new Map(names.flatMap(look).map((row) => [row.join("\t"), row]));
  return [...rows.values()].sort((one, other) => (one.join("\t") < other.join("\t") ? -1 : 1));
}

// --- what is shown: all that was given stands as text, never as markup ---

function element(tag, ...children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

function link(address, text) {
  const made = element("a", text);
  made.href = address;
  return made;
}

function show(kind, heading, ...children) {
  const answer = document.getElementById("answer");
  answer.className = `answer ${kind}`;
  answer.replaceChildren(element("h2", heading), ...children);
}

function licence(name) {
  if (name === "NOASSERTION") return "none is stated";
  return LISTS.licences[name] ? link(LISTS.licences[name], name) : name;
}

function table(rows) {
  const head = element("tr", ...["list", "licence that is stated of the image"].map((name) => element("th", name)));
  const body = rows.map(([source, stated]) => element("tr",
    element("td", `${LISTS.sources[source] || source} (${source})`), element("td", licence(stated))));
  return element("table", element("thead", head), element("tbody", ...body));
}

// How the image is called when somebody is written to: the words that `pmd takedown add` takes.
function lineOf(meaning, said) {
  if (meaning.sha256) return `sha256:${meaning.sha256}`;
  if (meaning.keys.length) return meaning.keys[0];
  // The page of a post means its picture, whoever shows it; a row alone would mean that row.
  if (meaning.rows.length) return `https://redd.it/${meaning.rows[0][1]}`;
  // What a list has all the same, `pmd takedown add` takes for one name in this form alone.
  return meaning.identities[0].startsWith("url:") && !meaning.isOfMany && !meaning.isMore ? said : meaning.identities[0];
}

function removal(meaning, said) {
  const line = lineOf(meaning, said);
  const text = `Please remove this image from ${LISTS.title}, version ${LISTS.version}:\n\n${line}`;
  return [element("h3", "To have it removed"), element("p", "Write to ", whom(text), ":"), element("pre", text),
    element("p", "No reason is needed. It leaves the next version, and this page with it, under every address that the " +
      "sources know of it. Who publishes the lists gives the last line to ", element("code", "pmd takedown add"), ".")];
}

// Whom to write to, with the words that an e-mail begins with.
function whom(text) {
  if (LISTS.address) {
    const mail = `mailto:${LISTS.address}?subject=${encodeURIComponent(`Removal from ${LISTS.title}`)}&body=${encodeURIComponent(text)}`;
    return link(mail, LISTS.address);
  }
  if (LISTS.contact) return /^https?:\/\//.test(LISTS.contact) ? link(LISTS.contact, LISTS.contact) : LISTS.contact;
  return "whoever gave you these lists, or publishes them";
}

// What this page cannot look up: it knows pictures, one by one.
function ofMany(said) {
  return element("p", "All pictures of one person, or of a whole website, can be removed too: write to ",
    whom(`Please remove from ${LISTS.title}, version ${LISTS.version}, all pictures of:\n\n${said}`), ".");
}

async function answer(meaning, said) {
  const turn = ++latest;
  if (meaning === null) {
    show("", "This is no form that is known here",
      element("p", "Give an address that begins with http:// or https://, or one of the forms that stand below the field."));
    return;
  }
  show("", "Looking …");
  let rows;
  try {
    rows = await lookUp(meaning);
  } catch (error) {
    if (turn !== latest) return;
    show("", "The index cannot be read",
      element("p", `A file is missing beside this page (${error.message}). Copy the whole folder, with find.html and find.`));
    return;
  }
  if (turn !== latest) return;
  const named = meaning.identities.filter((identity) => !identity.startsWith("url:"));
  const words = `${meaning.says}${named.length ? ` of ${named.join(", or ")}` : ""}`;
  const taken = element("p", `It was taken for ${words}.`);
  taken.className = "soft";
  if (rows.length) {
    show("yes", "Yes, it is in the lists", table(rows), ...removal(meaning, said), taken);
  } else if (meaning.isMore) { // as in what follows, "no" would mean nothing
    show("", "More stands here than one address",
      element("p", "Something follows it: another address, words, or the end of a sentence. Give each address by itself."));
  } else if (meaning.isOfMany) {
    show("", "This is not the address of one picture",
      element("p", "It is a page of many pictures, a search or an article. Give the address of the picture, or of the page that shows it alone."),
      ofMany(said));
  } else {
    show("", "No, it is not in the lists", element("p", meaning.sha256
      ? "No picture of exactly these bytes was fetched. The same picture may be there in another size or file: give its address, or its page."
      : "No row of this version has this image. It may be there under another address of which nothing here tells."),
    ...(meaning.sha256 ? [] : [ofMany(said)]), taken);
  }
}

async function digestOf(file) {
  const content = await file.arrayBuffer();
  // Browsers keep their own digests from pages that come without TLS.
  return globalThis.crypto && crypto.subtle
    ? hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", content)))
    : sha256(new Uint8Array(content));
}

async function ofFile(file) {
  const turn = ++latest;
  show("", "Looking …");
  const digest = await digestOf(file).catch(() => null);
  if (turn !== latest) return;
  if (digest === null) {
    show("", "This cannot be read as a file",
      element("p", `Of ${file.name} no bytes can be had. If it is a folder, choose the picture in it; else save the picture on this machine first.`));
    return;
  }
  await answer(meant(`the picture ${file.name}, sha256:${digest}`, [], [], { sha256: digest }), file.name);
}

function started() {
  const pairs = Object.keys(LISTS.sources).length;
  document.getElementById("what").textContent =
    `${LISTS.title}, version ${LISTS.version}: lists of images' addresses, of ${pairs} ${pairs === 1 ? "source" : "sources"}. ` +
    "Look whether an image is listed, where, and how to have it removed.";
  const said = document.getElementById("said");
  document.getElementById("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (said.value.trim()) answer(meaning(said.value), said.value.trim());
  });
  const drop = document.getElementById("drop");
  document.getElementById("file").addEventListener("change", (event) => {
    if (event.target.files.length) ofFile(event.target.files[0]);
  });
  const over = (event) => {
    event.preventDefault();
    drop.classList.toggle("over", event.type === "dragover");
  };
  document.addEventListener("dragover", over);
  document.addEventListener("dragleave", over);
  document.addEventListener("drop", (event) => {
    over(event);
    const file = event.dataTransfer.files[0];
    const text = event.dataTransfer.getData("text/uri-list") || event.dataTransfer.getData("text/plain");
    if (file) ofFile(file);
    else if (text) answer(meaning((said.value = text.split("\n")[0])), said.value.trim());
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData.files[0];
    if (file) {
      event.preventDefault();
      ofFile(file);
    }
  });
}

if (globalThis.document) started();
