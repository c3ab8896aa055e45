/** Checks the file of a history: `npm run histories:check -- FILE.jsonl`. Exit code 0: as promised, 1: not, 2: no history. */
import { readFileSync } from 'node:fs';
import { checkHistory } from './history-check.ts';
import { parseHistory, type HistoryLine } from './history-file.ts';

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: npm run histories:check -- FILE.jsonl');
  process.exit(2);
}
let lines: HistoryLine[];
try {
  lines = parseHistory(readFileSync(file, 'utf8'));
} catch (error) {
  console.error(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
const { keys, operations, wrong, late } = checkHistory(lines);
for (const text of wrong) console.error(text);
for (const key of late) console.error(`"${key}" is in order only if an early try of a retried write came late`);
console.log(`${operations} operations on ${keys} keys: ${wrong.length === 0 ? 'linearizable, nothing lost, nothing back from the dead' : `${wrong.length} violations`}`);
process.exit(wrong.length === 0 ? 0 : 1);
