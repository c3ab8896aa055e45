/**
 * Histories of real processes: a five-node ring on loopback, each connection between nodes through a proxy, clients that
 * record what they see, and a nemesis that kills, stops, cuts, wipes, joins and leaves.
 *
 *   npm run histories -- [--seconds 60] [--seed 1] [--nodes 5] [--clients 8] [--file history.jsonl] [--entry-point SCRIPT]
 *
 * Exit code 1 when anything isn't as promised. The faults and the clients' choices follow from the seed, their timing
 * doesn't: what a run found is in its file, which `npm run histories:check` reads again.
 */
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runHistory } from './history-run.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' }, nodes: { type: 'string', default: '5' }, clients: { type: 'string', default: '8' },
    file: { type: 'string' }, 'entry-point': { type: 'string' },
  },
});
const file = values.file ?? path.join(os.tmpdir(), `dht-history-${values.seed}.jsonl`);
const { wrong, summary } = await runHistory({
  seed: Number(values.seed), seconds: Number(values.seconds), nodes: Number(values.nodes), clients: Number(values.clients), file,
  entryPoint: values['entry-point'] === undefined ? null : path.resolve(values['entry-point']), isKeptWhenWrong: true, print: (line) => { console.log(line); },
});
for (const line of summary) console.log(line);
for (const text of wrong) console.error(`WRONG: ${text}`);
console.log(`the history is in ${file}`);
console.log(wrong.length === 0 ? 'Linearizable, nothing lost, nothing back from the dead.' : `${wrong.length} violations`);
process.exit(wrong.length === 0 ? 0 : 1);
