"use strict";
// Digests: XXH3-128, by which images and pairs are named; MD5, by which Wikimedia names folders; SHA-256 of a picture.
// Each takes bytes and returns hexadecimal digits. SHA-256 is here for browsers that keep their own from pages without TLS.

const MASK = (1n << 64n) - 1n;
const P32 = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn];
const P64 = [
  0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n,
];
// The secret of the reference implementation, xxhash.h.
const SECRET = bytesOf(
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221" +
  "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
  "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb" +
  "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e");

function bytesOf(hex) {
  return Uint8Array.from(hex.match(/../g) || [], (pair) => parseInt(pair, 16));
}

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function utf8(text) {
  return new TextEncoder().encode(text);
}

function read64(bytes, at) {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
}

function fold(one, other) {
  const product = one * other;
  return (product & MASK) ^ (product >> 64n);
}

function avalanche(hash) {
  hash ^= hash >> 37n;
  hash = (hash * 0x165667919e3779f9n) & MASK;
  return hash ^ (hash >> 32n);
}

function swap(value) {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return view.getBigUint64(0, false);
}

function mix16(bytes, at, secret) {
  return fold(read64(bytes, at) ^ read64(SECRET, secret), read64(bytes, at + 8) ^ read64(SECRET, secret + 8));
}

function mix32(sums, bytes, one, other, secret) {
  sums[0] = (sums[0] + mix16(bytes, one, secret)) & MASK;
  sums[0] ^= (read64(bytes, other) + read64(bytes, other + 8)) & MASK;
  sums[1] = (sums[1] + mix16(bytes, other, secret + 16)) & MASK;
  sums[1] ^= (read64(bytes, one) + read64(bytes, one + 8)) & MASK;
}

function ended(sums, length) {
  const high = (sums[0] * P64[0] + sums[1] * P64[3] + length * P64[1]) & MASK;
  return [(MASK + 1n - avalanche(high)) & MASK, avalanche((sums[0] + sums[1]) & MASK)];
}

function xxh9to16(bytes) {
  const length = BigInt(bytes.length);
  const last = read64(bytes, bytes.length - 8);
  let product = (read64(bytes, 0) ^ last ^ read64(SECRET, 32) ^ read64(SECRET, 40)) * P64[0];
  let low = ((product & MASK) + ((length - 1n) << 54n)) & MASK;
  const flipped = last ^ read64(SECRET, 48) ^ read64(SECRET, 56);
  const high = ((product >> 64n) + flipped + (flipped & 0xffffffffn) * (P32[1] - 1n)) & MASK;
  low ^= swap(high);
  product = low * P64[1];
  return [avalanche(((product >> 64n) + high * P64[1]) & MASK), avalanche(product & MASK)];
}

function xxh17to128(bytes) {
  const length = BigInt(bytes.length);
  const sums = [(length * P64[0]) & MASK, 0n];
  for (let step = (bytes.length - 1) >> 5; step >= 0; step--) {
    mix32(sums, bytes, 16 * step, bytes.length - 16 * (step + 1), 32 * step);
  }
  return ended(sums, length);
}

function xxh129to240(bytes) {
  const length = BigInt(bytes.length);
  const sums = [(length * P64[0]) & MASK, 0n];
  for (let at = 32; at < 160; at += 32) mix32(sums, bytes, at - 32, at - 16, at - 32);
  sums[0] = avalanche(sums[0]);
  sums[1] = avalanche(sums[1]);
  for (let at = 160; at <= bytes.length; at += 32) mix32(sums, bytes, at - 32, at - 16, 3 + at - 160);
  mix32(sums, bytes, bytes.length - 16, bytes.length - 32, 136 - 17 - 16);
  return ended(sums, length);
}

function xxhLong(bytes) {
  const sums = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]];
  const add = (at, secret) => {
    for (let lane = 0; lane < 8; lane++) {
      const data = read64(bytes, at + 8 * lane);
      const key = data ^ read64(SECRET, secret + 8 * lane);
      sums[lane ^ 1] = (sums[lane ^ 1] + data) & MASK;
      sums[lane] = (sums[lane] + (key & 0xffffffffn) * (key >> 32n)) & MASK;
    }
  };
  const stripes = Math.floor((bytes.length - 1) / 64);
  for (let stripe = 0; stripe < stripes; stripe++) {
    add(64 * stripe, 8 * (stripe % 16));
    if (stripe % 16 === 15) {
      for (let lane = 0; lane < 8; lane++) {
        const mixed = sums[lane] ^ (sums[lane] >> 47n) ^ read64(SECRET, 128 + 8 * lane);
        sums[lane] = (mixed * P32[0]) & MASK;
      }
    }
  }
  add(bytes.length - 64, 192 - 64 - 7);
  const merged = (secret, start) => {
    for (let pair = 0; pair < 4; pair++) {
      const at = secret + 16 * pair;
      start += fold(sums[2 * pair] ^ read64(SECRET, at), sums[2 * pair + 1] ^ read64(SECRET, at + 8));
    }
    return avalanche(start & MASK);
  };
  const length = BigInt(bytes.length);
  return [merged(192 - 64 - 11, MASK ^ ((length * P64[1]) & MASK)), merged(11, (length * P64[0]) & MASK)];
}

// XXH3-128 of nine bytes or more, as 32 digits: keys have a word and a NUL before what they name.
function xxh3(bytes) {
  const of = bytes.length <= 16 ? xxh9to16 : bytes.length <= 128 ? xxh17to128 : bytes.length <= 240 ? xxh129to240 : xxhLong;
  return of(bytes).map((half) => half.toString(16).padStart(16, "0")).join("");
}

// The words of a message of MD5 or SHA-256, padded.
function padded(bytes, littleEndian) {
  const view = new DataView(new ArrayBuffer((((bytes.length + 8) >> 6) + 1) << 6));
  new Uint8Array(view.buffer).set(bytes);
  view.setUint8(bytes.length, 0x80);
  const bits = 8 * bytes.length;
  const end = view.byteLength;
  view.setUint32(littleEndian ? end - 8 : end - 4, bits >>> 0, littleEndian);
  view.setUint32(littleEndian ? end - 4 : end - 8, Math.floor(bits / 2 ** 32), littleEndian);
  return view;
}

const TURNS = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
const SINES = Array.from({ length: 64 }, (_, round) => Math.floor(Math.abs(Math.sin(round + 1)) * 2 ** 32) >>> 0);

function md5(bytes) {
  const view = padded(bytes, true);
  const sums = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < view.byteLength; block += 64) {
    let [a, b, c, d] = sums;
    for (let round = 0; round < 64; round++) {
      const kind = round >> 4;
      const mixed = [(b & c) | (~b & d), (d & b) | (~d & c), b ^ c ^ d, c ^ (b | ~d)][kind];
      const place = [round, 5 * round + 1, 3 * round + 5, 7 * round][kind] % 16;
      const sum = (a + mixed + SINES[round] + view.getUint32(block + 4 * place, true)) | 0;
      const turn = TURNS[kind][round % 4];
      [a, d, c, b] = [d, c, b, (b + ((sum << turn) | (sum >>> (32 - turn)))) | 0];
    }
    [a, b, c, d].forEach((value, place) => { sums[place] = (sums[place] + value) | 0; });
  }
  const out = new DataView(new ArrayBuffer(16));
  sums.forEach((value, place) => out.setUint32(4 * place, value >>> 0, true));
  return hexOf(new Uint8Array(out.buffer));
}

const PRIMES = [];
for (let number = 2; PRIMES.length < 64; number++) {
  if (PRIMES.every((prime) => number % prime)) PRIMES.push(number);
}
const fraction = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32);
const CUBE_ROOTS = Uint32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));
const SQUARE_ROOTS = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

function sha256(bytes) {
  const view = padded(bytes, false);
  const sums = Uint32Array.from(SQUARE_ROOTS);
  const words = new Uint32Array(64);
  const turned = (word, by) => (word >>> by) | (word << (32 - by));
  for (let block = 0; block < view.byteLength; block += 64) {
    for (let at = 0; at < 64; at++) {
      if (at < 16) {
        words[at] = view.getUint32(block + 4 * at);
      } else {
        const [early, late] = [words[at - 15], words[at - 2]];
        words[at] = words[at - 16] + words[at - 7] + (turned(early, 7) ^ turned(early, 18) ^ (early >>> 3)) +
          (turned(late, 17) ^ turned(late, 19) ^ (late >>> 10));
      }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    for (let at = 0; at < 64; at++) {
      const one = (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + CUBE_ROOTS[at] + words[at]) | 0;
      const other = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + other) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, place) => { sums[place] += value; });
  }
  return Array.from(sums, (value) => value.toString(16).padStart(8, "0")).join("");
}
