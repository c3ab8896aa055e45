/**
 * All benchmarks, one after the other, as one table: `npm run bench [-- store restart balance peer ring large list]`. Machines are noisy:
 * compare rows of one run, and the ratios to the plain way of doing the same. `repair` runs only when it is named, with
 * `--gib` of data.
 */
import { parseArgs } from 'node:util';
import { runBalanceBench } from './balance-bench.ts';
import { runLargeBench } from './large-bench.ts';
import { runListBench } from './list-bench.ts';
import { runPeerBench } from './peer-bench.ts';
import { runRepairBench } from './repair-bench.ts';
import { rowText, type Report } from './report.ts';
import { runRestartBench } from './restart-bench.ts';
import { runRingBench } from './ring-bench.ts';
import { runStoreBench } from './store-bench.ts';

const BENCHES: Readonly<Record<string, (report: Report) => void | Promise<void>>> = {
  balance: runBalanceBench,
  store: runStoreBench,
  restart: runRestartBench,
  peer: runPeerBench,
  ring: runRingBench,
  large: runLargeBench,
  list: runListBench,
};

const { values, positionals: wanted } = parseArgs({ allowPositionals: true, options: { gib: { type: 'string', default: '1' } } });
const unknown = wanted.filter((name) => name !== 'repair' && BENCHES[name] === undefined);
if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(', ')}; there are ${[...Object.keys(BENCHES), 'repair'].join(', ')}`);
  process.exit(2);
}
for (const [name, run] of Object.entries(BENCHES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`-- ${name}`);
  await run((row) => { console.log(rowText(row)); });
}
if (wanted.includes('repair')) {
  console.log('-- repair');
  await runRepairBench((row) => { console.log(rowText(row)); }, { gib: Number(values.gib) });
}
