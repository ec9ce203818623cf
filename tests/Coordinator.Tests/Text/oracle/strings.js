'use strict';

// Awkward and random strings. Everything is derived from the seed, so a failure can be repeated.

function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    below: (n) => Math.floor(next() * n),
    pick: (list) => list[Math.floor(next() * list.length)],
  };
}

const awkward = [
  '', ' ', '  ', '   ', '\t', '\n', '\r\n', '\n\n\n', ' \n ', '  \n\n  x', 'a', ' a', 'a ', ' a ', '  a  b  ',
  'Hello, world!', "It's he'll WE'VE I'M don'T 'twas l'été 'ſ'S", 'In the beginning', 'x'.repeat(300),
  'ab'.repeat(400), ' '.repeat(200), '\n'.repeat(70), '0123456789 12 345 6,789.01 ½ ² ٣٤٥ ⅷ 〇一二', 'naïve café — “quotes”',
  'e\u0301 a\u0308\u0323 \u1100\u1161\u11a8 \ufb01 \u212b \u2126 ①', '日本語テキスト、中文，한국어', 'עברית العربية हिन्दी ไทย ελληνικά русский',
  '😀🎉👩‍👩‍👧‍👦🏳️‍🌈🇩🇪👍🏽', '𝒳𝔘𝟘 𐐷 𠀀𠀁 🄰 \u{1f1e6}', '\u0000\u0001\u001f\u007f\u0080\u0085\u00a0\u00ad', '\u200b\u200c\u200d\u2028\u2029\u202f\u205f\u3000\ufeff',
  '\ufffd\ufffe\uffff', '\u{10ffff}\u{e0001}\u{f0000}', 'İıſßẞǅ ΣΑΣ σας', '<|begin_of_text|>', '<|end_of_text|> x', 'a<|eot_id|>b', ' <|eot_id|> ',
  '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>', '<|begin_of_text', '<s> </s><unk> <s>x</s>', '<|im_start|>user\nHi<|im_end|>',
  '<think>\nx\n</think>', '▁▁ ▁a▁ b▁', '<0x0A><0xE2>', 'Ġthe Ċ ÃĊ', 'for (int i = 0; i < n; ++i)\n{\n\tsum += a[i] * b[i];\n}\n', '{"a": [1, 2.5e-3, null]}',
  'https://example.org/a?b=c&d=%20#e', 'a.b,c;d:e!f?g-h_i/j\\k|l~m`n@o#p$q%r^s&t*u(v)w[x]y{z}', '!!!???...---===', ' !', '\u00a0!\u00a0a', 'a\u0301\u0301\u0301', 'The  end.\r\n\r\n  Next',
];

const pools = [
  () => 'abcdefghijklmnopqrstuvwxyzABCXYZ', () => '    ', () => '\n\r\t ', () => '0123456789', () => '.,;:!?\'"()[]{}<>|/\\-_=+*&^%$#@~`',
  () => 'äöüßéèñçøåÄÖÜ', () => 'абвгдежЯЮ', () => '日本語中文한국', () => 'אבגדهوزैिท', () => '\u0301\u0308\u0323\u200d\ufe0f\u00a0',
];
const pieces = ['<left>', ' <right> ', ' <both>  ', 'ABC', ' XYZ', 'end', 'beginning', '<gap>', 'the', ' the', ' and', "'s", "'LL", ' 123', '4567', '\n\n', '   ', '😀', '👩‍👧', '𝒳', '𠀀', '<|eot_id|>', '<|end_of_text|>', '</s>', '<unk>', '<think>', '<|im_end|>', ' ▁', '▁x', '\r\n', ' {', '();', '\u{1f3fd}', 'ſ', 'ing', 'XML', '\u0000', '\ufeff'];

function randomString(rng) {
  let text = '';
  const parts = 1 + rng.below(rng.pick([3, 10, 40]));
  for (let i = 0; i < parts; i++) {
    if (rng.below(3) === 0) {
      text += rng.pick(pieces);
      continue;
    }
    const pool = Array.from(rng.pick(pools)());
    for (let n = 1 + rng.below(8); n > 0; n--) text += rng.pick(pool);
  }
  return text;
}

/** Every code point from first to last but the surrogates, in context and in runs of 16. */
function codePoints(first, last) {
  const list = [];
  for (let start = first; start <= last; start += 16) {
    let run = '';
    for (let c = start; c < start + 16 && c <= last; c++) {
      if (c >= 0xd800 && c <= 0xdfff) continue;
      run += 'a' + String.fromCodePoint(c) + ' ' + String.fromCodePoint(c);
    }
    list.push(run);
  }
  return list;
}

/** Prose-like text: many different words, digits, punctuation and line ends, `length` characters or a little more. */
function longText(rng, length) {
  const syllables = ['ba', 'con', 'de', 'er', 'fla', 'gi', 'hou', 'in', 'ja', 'ken', 'lo', 'men', 'na', 'or', 'pre', 'qua', 'ri', 'st', 'tion', 'un', 've', 'wa', 'ing', 'the', 'ed', 's'];
  const chunks = [];
  let size = 0;
  while (size < length) {
    let word = '';
    for (let n = 1 + rng.below(4); n > 0; n--) word += rng.pick(syllables);
    if (rng.below(9) === 0) word = word[0].toUpperCase() + word.slice(1);
    if (rng.below(60) === 0) word = String(rng.below(100000));
    word += rng.pick([' ', ' ', ' ', ' ', ' ', ' ', ', ', '. ', ';\n', '.\n\n', "'s ", ' – ', '! ', ' “', '” ']);
    chunks.push(word);
    size += word.length;
  }
  return chunks.join('');
}

module.exports = { random, awkward, randomString, codePoints, longText };
