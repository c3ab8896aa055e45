/**
 * Chaos on a whole installation on loopback, under the oracle.
 *
 *   npm run chaos -- --scenario kill-pod [--scenario 4 ...] [--seed 1] [--clients 4] [--times 1] [--directory DIR]
 *   npm run chaos -- --all | --short | --list
 *   npm run chaos -- --scenario random --minutes 10 --seed 7
 *
 * --busy: the machine does much else, so that what is late is told and not wrong. Exit code 1 when anything isn't as promised: then the data and logs of the nodes stay, and the report says where.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { playedLocally, SCENARIOS, scenarioOf } from './catalogue.ts';
import { CLUSTER_SCENARIOS } from './cluster-scenarios.ts';
import { runLocally } from './local-run.ts';
import { report, type ScenarioResult } from './report.ts';
import type { Scenario } from './scenario.ts';

const WHOLE_MS_MAX = 180_000;
const BUSY_WHOLE_MS_MAX = 600_000;

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true }, all: { type: 'boolean', default: false }, short: { type: 'boolean', default: false }, list: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' }, clients: { type: 'string', default: '4' }, times: { type: 'string', default: '1' }, directory: { type: 'string' }, minutes: { type: 'string', default: '10' }, busy: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
if (values.list) {
  for (const { number, name, about, isShort } of playedLocally(minutes)) console.log(`${String(number).padStart(2)}  ${name.padEnd(20)} ${isShort === true ? '*' : ' '} ${about}`);
  console.log('* in the short set\n\nOn a cluster only, with npm run chaos:cluster:');
  for (const { number, name, about } of CLUSTER_SCENARIOS) if (scenarioOf(name, minutes) === null) console.log(`${String(number).padStart(2)}  ${name.padEnd(20)}   ${about}`);
  console.log('\n23, a kill at each operation of the disk, is simulated: test/crash');
  process.exit(0);
}
const chosen: Scenario[] = values.all ? [...SCENARIOS] : values.short ? SCENARIOS.filter(({ isShort }) => isShort) : (values.scenario ?? []).map((text) => {
  const scenario = scenarioOf(text, minutes);
  if (scenario === null) {
    console.error(`there is no scenario ${text}; --list names them`);
    process.exit(2);
  }
  return scenario;
});
if (chosen.length === 0) {
  console.error('say --scenario NAME, --short or --all; --list names them');
  process.exit(2);
}

const directory = values.directory ?? await mkdtemp(path.join(os.tmpdir(), 'dht-chaos-'));
const startedAt = new Date().toISOString();
const results: ScenarioResult[] = [];
let wrong = 0;
for (let round = 0; round < Number(values.times); round++) {
  const seed = Number(values.seed) + round;
  for (const scenario of chosen) {
    console.log(`\n${scenario.number} ${scenario.name}, seed ${seed}: ${scenario.about}`);
    const result = await runLocally(scenario, { seed, clients: Number(values.clients), directory, print: (line) => { console.log(line); }, wholeMsMax: values.busy ? BUSY_WHOLE_MS_MAX : WHOLE_MS_MAX, areSpeedsChecked: !values.busy });
    results.push(result);
    if (result.kind === 'skipped') console.log(`  skipped: ${result.why}`);
    else {
      for (const line of result.verdict.summary) console.log(`  ${line}`);
      wrong += result.verdict.wrong.length;
      console.log(result.verdict.wrong.length === 0 ? '  as promised' : `  ${result.verdict.wrong.length} wrong; data and logs are in ${result.keptAt ?? ''}`);
    }
  }
}
const file = path.join(directory, 'report.md');
await writeFile(file, report({ startedAt, command: `npm run chaos -- ${process.argv.slice(2).join(' ')}`, driver: `processes on loopback, Node ${process.version}` }, results));
console.log(`\nthe report is ${file}`);
console.log(wrong === 0 ? 'Nothing lost, nothing corrupt, nothing back from the dead.' : `${wrong} violations`);
process.exit(wrong === 0 ? 0 : 1);
