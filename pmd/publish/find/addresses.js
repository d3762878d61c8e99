"use strict";
// What people call an image → the keys under which the lists may have it. The same forms, and the same answers, as
// pmd/text/{urls,url_identity,pages}.py and pmd/images/names.py, with which tests compare it. Nothing is asked of the web.

// A run of escapes as the text that it spells; what is no UTF-8 becomes U+FFFD.
function unquoted(text) {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOf(run.replace(/%/g, ""))));
}

function quoted(text, plain) {
  return Array.from(utf8(text), (byte) => {
    const letter = String.fromCharCode(byte);
    return /[A-Za-z0-9_.~-]/.test(letter) || plain.includes(letter)
      ? letter : "%" + byte.toString(16).toUpperCase().padStart(2, "0");
  }).join("");
}

// --- URLs (pmd/text/urls.py) ---

function canonical(said) {
  let url;
  try {
    url = new URL(said);
  } catch {
    return null;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;
  url.username = "";
  url.password = "";
  const href = url.href.split("#")[0];
  const at = href.indexOf("?");
  if (at < 0) return href;
  let query = href.slice(at + 1);
  if (/utm_|gclid|fbclid/i.test(query)) {
    query = query.split("&").filter((part) => {
      const name = part.split("=")[0].toLowerCase();
      return !(name.startsWith("utm_") || name === "gclid" || name === "fbclid");
    }).join("&");
  }
  return query ? `${href.slice(0, at)}?${query}` : href.slice(0, at);
}

function withoutRootDot(form) {
  return form.replace(/^(https?:\/\/[^/]*[^/.])\.+((?::[0-9]+)?\/)/, "$1$2");
}

// One spelling for all canonical URLs that differ in nothing but spelling, without the scheme.
function alike(form) {
  const rest = withoutRootDot(form).replace(/%([0-9A-Fa-f]{2})/g, (escape, digits) => {
    const letter = String.fromCharCode(parseInt(digits, 16));
    return letter > " " && letter < "\x7f" && !"/?#%&=+;".includes(letter) ? letter : escape.toUpperCase();
  });
  return rest.slice(rest.indexOf("://") + 3);
}

// --- identities (pmd/text/url_identity.py) ---

const FLICKR_HOST = /^(?:farm[0-9]+\.|c[0-9]+\.|live\.)?static\.?flickr\.com$/;
const FLICKR_PATH =
  /^\/(?:[0-9]+\/)?[0-9]+\/([1-9][0-9]*)_[0-9a-f]{6,16}(?:_(?:[sqtmnwzcblhkfo]|[3-6]k))?(?:_d)?\.(?:jpg|jpeg|png|gif|webp)$/i;
const COCO_PATH = /^\/(?:train|val|test)20(?:14|15|17)\/(?:COCO_(?:train|val|test)20(?:14|15|17)_)?([0-9]{12})\.jpg$/;
const MSCOCO_PATH = /^\/images\/([1-9][0-9]*)$/;
const OPEN_IMAGES_PATH = /^\/(?:train|validation|test)\/([0-9a-f]{16})\.jpg$/;
const VISUAL_GENOME_PATH = /^\/people\/rak248\/VG_100K(?:_2)?\/([1-9][0-9]*)\.jpg$/;
const WIKIMEDIA_HOSTS = ["upload.wikimedia.org", "thumb.wikimedia.org"];
const WIKIMEDIA_THUMB = new RegExp(
  "^(/[a-z0-9_-]+/[a-z0-9_-]+)/thumb(/(?:archive/)?[0-9a-f]/[0-9a-f]{2}/[^/]+\\.(?:jpe?g|png|gif|svg|tiff?|webp|bmp))" +
  "/(?:qlow-|(?:lossy-|lossless-)?page1-)?[0-9]+px-[^/]*$", "i");
const WIKIMEDIA_FILE = /^\/[a-z0-9_-]+\/[a-z0-9_-]+\/(?:archive\/)?[0-9a-f]\/[0-9a-f]{2}\/[^/]+$/;
const IMGUR_HOSTS = ["", "i.", "m.", "www."].flatMap((name) => [`${name}imgur.com`, `${name}imgur.io`]);
const IMGUR_PAGES = ["imgur.com", "m.imgur.com", "imgur.io", "m.imgur.io"];
const IMGUR_PATH =
  /^\/(?:([0-9A-Za-z]{7})[sbtmlh]|([0-9A-Za-z]{5}|[0-9A-Za-z]{7})(?:_d)?)\.(?:[jJ][pP][eE]?[gG]|[pP][nN][gG]|[gG][iI][fF]|[wW][eE][bB][pP])$/;
const S3_PATH_STYLE = /^s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com$/;
const S3_BUCKET_STYLE = /^([a-z0-9.-]+)\.s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com$/;

function first(kind, pattern, path) {
  const found = pattern.exec(path);
  return found && `${kind}:${kind === "coco" ? found[1].replace(/^0+(?=.)/, "") : found[1]}`;
}

function named(host, path, query) {
  if (host.endsWith("flickr.com")) return FLICKR_HOST.test(host) ? first("flickr", FLICKR_PATH, path) : null;
  if (WIKIMEDIA_HOSTS.includes(host)) return ofWikimedia(path);
  if (IMGUR_HOSTS.includes(host)) {
    const found = IMGUR_PATH.exec(path);
    return found && `imgur:${found[1] || found[2]}`;
  }
  if (query) return null;
  let place = host;
  if (host.endsWith("amazonaws.com")) {
    const inHost = S3_BUCKET_STYLE.exec(host);
    if (S3_PATH_STYLE.test(host)) {
      const at = path.indexOf("/", 1);
      place = `s3/${at < 0 ? path.slice(1) : path.slice(1, at)}`;
      path = at < 0 ? "" : path.slice(at);
    } else {
      place = `s3/${inHost ? inHost[1] : ""}`;
    }
  }
  switch (place) {
    case "images.cocodataset.org":
    case "s3/images.cocodataset.org": return first("coco", COCO_PATH, path);
    case "mscoco.org":
    case "www.mscoco.org": return first("coco", MSCOCO_PATH, path);
    case "s3/open-images-dataset": return first("openimages", OPEN_IMAGES_PATH, path);
    case "cs.stanford.edu": return first("visual_genome", VISUAL_GENOME_PATH, path);
    default: return null;
  }
}

function ofWikimedia(path) {
  const thumb = WIKIMEDIA_THUMB.exec(path);
  const original = thumb ? thumb[1] + thumb[2] : path;
  return WIKIMEDIA_FILE.test(original) ? `url:upload.wikimedia.org${oneEncoding(original)}` : null;
}

function oneEncoding(path) {
  if (!path.includes("%") || path.toLowerCase().includes("%2f")) return path;
  const decoded = unquoted(path);
  return decoded.includes("\ufffd") ? path : quoted(decoded, PLAIN);
}

// The identity of a canonical URL.
function identityOf(form) {
  const rest = form.slice(form.indexOf("://") + 3);
  const at = rest.indexOf("?");
  const [address, query] = at < 0 ? [rest, ""] : [rest.slice(0, at), rest.slice(at + 1)];
  const slash = address.indexOf("/");
  const [host, path] = slash < 0 ? [address, ""] : [address.slice(0, slash), address.slice(slash)];
  return named(host, path, query) || `url:${rest}`;
}

// --- pages (pmd/text/pages.py) ---

const BASE58 = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ";
const NUMBER = /^([1-9][0-9]{0,19})$/;
const FLICKR_SHORT = new RegExp(`^/p/([${BASE58}]{1,12})/?$`);
const FLICKR_SHORT_ID = new RegExp(`^[${BASE58}]{1,12}$`);
const FLICKR_PHOTO = /^\/photos\/(?!tags\/|search\/|organize\/|upload\/)[^/]+\/([1-9][0-9]{0,19})(?:\/[^\n]*)?$/;
const FLICKR_PAGES = ["/photo.gne", "/photo_zoom.gne", "/photo_exif.gne"];
const WIKI_HOST = /^([a-z-]+)\.(?:m\.)?(wik(?:ipedia|tionary|iquote|ibooks|isource|inews|iversity|ivoyage))\.org$/;
const COMMONS_HOSTS = ["commons.wikimedia.org", "commons.m.wikimedia.org"];
const PICTURE_NAME = /^[^/#?]+\.(?:jpe?g|png|gif|svg|tiff?|webp|bmp|xcf)$/iu;
const NO_FILE = ["category", "user", "user talk", "file talk", "template", "help", "talk", "special"];
const REQUESTED = /^commons:deletion[ _]requests\//i;
const SPECIAL = /^special:(?:filepath|redirect\/file)\/([^\n]+)$/iu;
const PLAIN = "/:@!$&'()*,;=~";
const IMGUR_PAGE = /^\/(?:gallery\/|r\/[^/]+\/|t\/[^/]+\/)?(?:[^/]*-)?([0-9A-Za-z]{7}|[0-9A-Za-z]{5})\/?$/;
const IMGUR_VIDEO = /^\/([0-9A-Za-z]{7}|[0-9A-Za-z]{5})\.(?:gifv|mp4|webm)$/;
const IMGUR_FILES = ["i.imgur.com", "i.imgur.io"];
const REDDIT_POST = /^(?:\/r\/[^/]+|\/u(?:ser)?\/[^/]+)?\/(?:comments|gallery)\/([0-9a-z]+)(?:\/[^\n]*)?$/i;
const REDDIT_SHORT = /^\/([0-9a-z]+)\/?$/i;
const REDDIT_PREVIEW = /^\/(?:[^/]*-v[0-9]+-)?([0-9a-z]+\.(?:jpe?g|png|gif|webp))$/;
const REDDIT_MEDIA = /^(?:\/r\/[^/]+\/comments)?\/media(?:\/[^/]*)?\/?$/;
const REDDIT_PICTURES = ["i.redd.it", "preview.redd.it"];
const ARCHIVED = /^https?:\/\/web\.archive\.org\.?\/web\/(?:[0-9*]+(?:[a-z]{2}_)?\/)?(?:(https?):\/{1,2})?([^/].*)$/;
const PHOTON = /^https?:\/\/i[0-3]\.wp\.com\.?\/([^/?]+\.[^/?]+\/[^?]+)(?:\?.*)?$/;
const IN_PATH = /^https?:\/\/[^?]+\/https?(:|%3[Aa])(?:\/|%2[Ff]){1,2}([^/?%][^?]*)(\?.*)?$/;
const IN_QUERY = [
  [/^(?:images\.)?google\.[a-z.]+\/imgres$/, ["imgurl"]],
  [/^google\.[a-z.]+\/url$/, ["url", "q"]],
  [/^bing\.com\/images\/search$/, ["mediaurl"]],
  [/^duckduckgo\.com\/$/, ["iai"]],
  [/^(?:external-content|proxy)\.duckduckgo\.com\/iu\/?$/, ["u"]],
  [/^yandex\.[a-z.]+\/images\/search$/, ["img_url"]],
  [/^(?:images\.weserv|wsrv)\.nl\/$/, ["url"]],
  [/^[a-z0-9]+\.safelinks\.protection\.outlook\.com\/$/, ["url"]],
];
const DEEP = 3;
const VISUAL_GENOME_PAGE = /^\/api\/v0\/images\/([1-9][0-9]{0,19})\/?(?:\.json)?$/;
const OPEN_IMAGES_ID = /^([0-9a-f]{16})$/;
const COCO_FILE = /^(?:COCO_(?:train|val|test)20(?:14|15|17)_)?([0-9]{12})\.jpg$/;

// The first value of each field of a query, as HTML forms spell it; empty ones are none.
function fields(query) {
  const found = {};
  for (const part of query.split("&")) {
    const at = part.indexOf("=");
    if (at < 0 || at === part.length - 1) continue;
    const [name, value] = [part.slice(0, at), part.slice(at + 1)].map((text) => unquoted(text.replace(/\+/g, " ")));
    if (!Object.hasOwn(found, name)) found[name] = value;
  }
  return found;
}

function one(says, kind, pattern, text) {
  const identity = first(kind, pattern, text || "");
  return identity && { says, identities: [identity], rows: [] };
}

// What an address says of an image, where it is a page or link of a kind that is known.
function page(said) {
  const form = canonical(said);
  if (form === null) return null;
  const mark = said.indexOf("#");
  return ofHost(form, mark < 0 ? "" : unquoted(said.slice(mark + 1).trim())) || holding(form);
}

// What a canonical URL says, and what stood behind its "#", by the rules of its host.
function ofHost(form, fragment) {
  const url = new URL(form);
  const host = url.hostname.replace(/\.+$/, "").replace(/^www\./, "");
  const path = url.pathname;
  const query = fields(url.search.slice(1));
  if (host === "flickr.com" || host.endsWith(".flickr.com") || host === "flic.kr") {
    return ofFlickr(host, path, query, fragment);
  }
  if (COMMONS_HOSTS.includes(host) || WIKI_HOST.test(host)) return ofWiki(host, unquoted(path), query, fragment);
  if (IMGUR_PAGES.includes(host)) return one("the Imgur page", "imgur", IMGUR_PAGE, path);
  if (IMGUR_FILES.includes(host)) return one("Imgur's film", "imgur", IMGUR_VIDEO, path);
  if (["redd.it", "preview.redd.it", "reddit.com"].includes(host) || host.endsWith(".reddit.com")) {
    return ofReddit(host, path, query);
  }
  if (host === "cocodataset.org") {
    const at = fragment.indexOf("?");
    return one("COCO's viewer", "coco", NUMBER, at < 0 ? "" : fields(fragment.slice(at + 1)).id);
  }
  if (host === "visualgenome.org") return one("Visual Genome's page", "visual_genome", VISUAL_GENOME_PAGE, path);
  if (host === "storage.googleapis.com" && path.startsWith("/openimages/web/")) {
    return one("Open Images' viewer", "openimages", OPEN_IMAGES_ID, query.id);
  }
  return null;
}

function ofReddit(host, path, query) {
  if (host === "preview.redd.it") {
    const shown = REDDIT_PREVIEW.exec(path);
    return shown && { says: "Reddit's preview", identities: [`url:i.redd.it/${shown[1]}`], rows: [] };
  }
  const picture = REDDIT_MEDIA.test(path) && query.url ? canonical(query.url) : null;
  if (picture && REDDIT_PICTURES.includes(new URL(picture).hostname)) {
    const inner = page(query.url);
    return { says: "Reddit's page of a picture", identities: inner ? inner.identities : [identityOf(picture)], rows: [] };
  }
  const post = (host === "redd.it" ? REDDIT_SHORT : REDDIT_POST).exec(path);
  return post && { says: "the Reddit post", identities: [], rows: [["red_caps", post[1].toLowerCase()]] };
}

// What the addresses say that stand in a canonical URL.
function holding(form) {
  const found = [...new Set(heldIn(form, DEEP))];
  if (!found.length) return null;
  const inner = found.map((one) => ofHost(one, "") || { identities: [], rows: [] });
  const identities = found.flatMap((one, at) => [...inner[at].identities, identityOf(one)]);
  const rows = new Map(inner.flatMap((one) => one.rows).map((row) => [row.join("/"), row]));
  const says = ARCHIVED.test(form) ? "the archived address" : "a link that holds the address";
  return { says, identities: [...new Set(identities)], rows: [...rows.values()] };
}

function heldIn(form, deep) {
  if (!deep) return [];
  return within(form).map(canonical).filter((inner) => inner !== null)
    .flatMap((inner) => [inner, ...heldIn(inner, deep - 1)]);
}

// The address that stands in a canonical URL, if one does; in two forms where a query may be of either.
function within(form) {
  const archived = ARCHIVED.exec(form);
  if (archived) return [`${archived[1] || "http"}://${archived[2]}`];
  const photon = PHOTON.exec(form);
  if (photon) return [`http://${photon[1]}`];
  const path = IN_PATH.exec(form);
  if (path) {
    const inner = path[1] === ":" ? path[2] : unquoted(path[2]);
    return [...new Set([`http://${inner}${path[3] || ""}`, `http://${inner}`])];
  }
  const rest = form.slice(form.indexOf("://") + 3);
  const at = rest.indexOf("?");
  const address = (at < 0 ? rest : rest.slice(0, at)).replace(/^www\./, "");
  const known = IN_QUERY.find(([place]) => place.test(address));
  const query = known && at >= 0 ? fields(rest.slice(at + 1)) : {};
  return (known ? known[1] : []).filter((name) => Object.hasOwn(query, name)).map((name) => query[name])
    .filter((said) => said.includes("/")).map((said) => said.includes("://") ? said : `http://${said}`);
}

function ofFlickr(host, path, query, fragment) {
  if (host === "flic.kr") {
    const short = FLICKR_SHORT.exec(path);
    return short && { says: "the Flickr short link", identities: [`flickr:${base58(short[1])}`], rows: [] };
  }
  if (FLICKR_PAGES.includes(path)) {
    const short = query.short || "";
    return one("the Flickr page", "flickr", NUMBER, FLICKR_SHORT_ID.test(short) ? base58(short) : query.id);
  }
  return one("the Flickr page", "flickr", FLICKR_PHOTO, FLICKR_PHOTO.test(path) ? path : fragment);
}

function base58(text) {
  return Array.from(text).reduce((number, letter) => number * 58n + BigInt(BASE58.indexOf(letter)), 0n).toString();
}

function ofWiki(host, path, query, fragment) {
  if (path === "/w/thumb.php") query = { ...query, title: `File:${query.f || ""}` }; // a scaled copy, as MediaWiki is asked for one
  let title = query.title === undefined ? path.replace(/^\/wiki\//, "") : query.title;
  if (fragment.startsWith("/media/")) {
    title = fragment.slice("/media/".length);
  } else if (!path.startsWith("/wiki/") && query.title === undefined) {
    return null;
  }
  title = title.replace(REQUESTED, "");
  const special = SPECIAL.exec(title);
  const colon = title.indexOf(":");
  const namespace = special ? "File" : colon < 0 ? title : title.slice(0, colon);
  let name = special ? special[1] : colon < 0 ? "" : title.slice(colon + 1);
  name = name.replace(/[ _]+/g, "_").replace(/^_+|_+$/g, "");
  if (!PICTURE_NAME.test(name) || NO_FILE.includes(namespace.replace(/_/g, " ").trim().toLowerCase())) return null;
  const wiki = WIKI_HOST.exec(host);
  const folders = [...(wiki ? [`${wiki[2]}/${wiki[1]}`] : []), "wikipedia/commons"];
  const identities = folders.flatMap((folder) => uploaded(folder, name));
  return { says: "the Wikimedia file page", identities: [...new Set(identities)], rows: [] };
}

function uploaded(folder, name) {
  const letters = Array.from(name.normalize("NFC"));
  const large = letters[0].toUpperCase() + letters.slice(1).join("");
  const digest = md5(utf8(large));
  const where = `https://upload.wikimedia.org/${folder}/${digest[0]}/${digest.slice(0, 2)}/`;
  return [PLAIN, `${PLAIN}+`].map((plain) => identityOf(canonical(where + quoted(large, plain))));
}

// --- all forms (pmd/images/names.py) ---

const IDENTITY =
  /^(?:(?:flickr|coco|visual_genome):[1-9][0-9]*|openimages:[0-9a-f]{16}|imgur:[0-9A-Za-z]{5,7}|ade20k:\S+|url:[^/\s]+\/\S*)$/;

// A post as Reddit's own records have it.
const PERMALINK = /^\/?r\/[A-Za-z0-9_]+\/comments\/[0-9a-z]+(?:\/[^\s/?#]*)?\/?$/;

// Sites whose pages show many pictures, or none by itself, and what a picture of their own is called.
const SITES = new RegExp(
  "^(?:(?:(?:www|m|secure)\\.)?flickr\\.com|flic\\.kr|(?:[a-z]+\\.)?reddit\\.com|(?:(?:www|m)\\.)?imgur\\.(?:com|io)" +
  "|(?:(?:www|images|lens)\\.)?google\\.[a-z.]+|(?:(?:www|cn)\\.)?bing\\.com|(?:www\\.)?duckduckgo\\.com|(?:www\\.)?yandex\\.[a-z.]+" +
  "|commons\\.(?:m\\.)?wikimedia\\.org|[a-z-]+\\.(?:m\\.)?wik(?:ipedia|tionary|iquote|ibooks|isource|inews|iversity|ivoyage)\\.org)\\.?$");
const PICTURE = new RegExp(
  "^(?:[^?#]+\\.(?:jpe?g|png|gif|webp)(?:[?#].*)?|https?://[^/]*\\bbing\\.com\\.?/th[?/].+" +
  "|https?://[^/]*\\bgoogle\\.[a-z.]+/images\\?(?:[^#]*&)?q=tbn(?::|%3a).+)$", "i");
// What shows that words are more than one name (pmd/images/takedowns.py).
const MORE = new RegExp(
  "[\\t\\r\\n]|\\s#|[\\s,;]https?://" +
  "|\\.(?:jpe?g|png|gif|webp)(?:[.\"'>)\\]”’“»]+$|[,;](?:$|\\d{4}-\\d\\d-\\d\\d|[^/=?&#]*(?:\\s|[^\\x00-\\x7f]))|;[^/=?&#]*$)", "i");

// What words may mean: {says, identities, rows, keys, sha256, spelled, isOfMany, isMore}, or nothing. `spelled` has what an address is
// found by that upstream spells otherwise. An address of many pictures, or with more behind it, would be found nowhere.
function meaning(said) {
  said = said.trim();
  const found = asNamed(said);
  return found && { ...found, isMore: (found.spelled.length ? MORE : /\t/).test(said) };
}

function asNamed(said) {
  if (/^[0-9a-f]{32}$/i.test(said)) return meant("an image_id", [], [], { keys: [said.toLowerCase()] });
  const digest = /^(?:(sha256|pdq):)?([0-9a-f]{64})$/i.exec(said);
  if (digest && (digest[1] || "").toLowerCase() !== "pdq") {
    return meant("the SHA-256 of a picture", [], [], { sha256: digest[2].toLowerCase() });
  }
  if (/^https?:\/\//i.test(said)) return ofUrl(said);
  if (IDENTITY.test(said)) return meant("an identity", [said], []);
  if (PERMALINK.test(said)) return ofUrl(`https://www.reddit.com/${said.replace(/^\//, "")}`);
  const row = /^([A-Za-z][A-Za-z0-9_]*)\/(\S[^\n]*)$/.exec(said);
  if (row && row[1] === "red_caps") return meant("a row", [], [[row[1], row[2]]]);
  const file = said.includes("://") ? null : first("coco", COCO_FILE, said.slice(said.lastIndexOf("/") + 1));
  if (file) return meant("COCO's file name", [file], []);
  return said.includes("://") || !/^(?:\/\/|(?:[a-z0-9-]+\.)+[a-z]{2,}\/[^\n])/i.test(said) ? null : copied(said);
}

function meant(says, identities, rows, more) {
  return { says, identities, rows, keys: [], spelled: [], sha256: null, isOfMany: false, isMore: false, ...more };
}

function ofUrl(said) {
  const form = canonical(said);
  if (form === null) return null;
  // With the dot of the DNS's root and without: both are one host, and upstream may have either.
  const dotless = withoutRootDot(form);
  const identities = [...new Set([identityOf(form), identityOf(dotless)])];
  const spelled = [form, ...heldIn(form, DEEP)].map((one) => `url:${alike(one)}`);
  const shown = page(said);
  return shown
    ? meant(shown.says, [...new Set([...shown.identities, ...identities])], shown.rows, { spelled })
    : meant("a URL", identities, [], { spelled, isOfMany: isOfMany(form, identities) });
}

function isOfMany(form, identities) {
  return identities.every((identity) => identity.startsWith("url:")) && SITES.test(new URL(form).hostname) && !PICTURE.test(form);
}

// An address without its scheme, as browsers show it: of hosts that are known, else it is a guess.
function copied(said) {
  const url = `https://${said.replace(/^\/\//, "")}`;
  const found = ofUrl(url);
  return (!found || found.identities.some((identity) => identity.startsWith("url:"))) && page(url) === null ? null : found;
}

// The keys of what words mean, as the index has them: 16 digits of the key of an image or a row, or of a SHA-256.
function keysOf(found) {
  const identities = [...new Set([...found.identities, ...found.spelled])];
  return [
    ...found.keys,
    ...identities.map((identity) => xxh3(utf8(`image\0${identity}`))),
    ...found.rows.map(([source, id]) => xxh3(utf8(`pair\0${source}\0${id}`))),
    ...(found.sha256 ? [found.sha256] : []),
  ].map((key) => key.slice(0, 16));
}
