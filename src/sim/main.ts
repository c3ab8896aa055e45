/**
 * `npm run sim -- --seed N [--lines N] [--drop rule,...] [--chart ROWS] [--shrink [--out FILE]]`, or `--case FILE` instead of a
 * seed: replays one run of whole nodes and prints its transcript, its counts and its digest. The same seed gives the same
 * digest on every machine. `--shrink` makes a failing run small first, writes it as a case, and prints its chart.
 * Exit code 1: a violation.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ALL_RULES, type Rules } from '../domain/rules.ts';
import { faultText } from './fault.ts';
import { MessageChart } from './message-chart.ts';
import { caseText, parseCase, rulesOf, type RunCase } from './run-case.ts';
import { shrinkRun } from './shrink-run.ts';
import { describe } from './simulation.ts';
import { caseOf, caseRun, swarmRun } from './swarm-run.ts';
import { addRun, NO_TOTALS, totalsText } from './swarm-summary.ts';
import type { WholeNodeRun } from './whole-node-run.ts';

const SHRINK = { runsMax: 600, salts: 2 };
const CHART_ROWS = '150';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    case: { type: 'string' },
    lines: { type: 'string', default: '20000' },
    drop: { type: 'string', default: '' },
    chart: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

let current: WholeNodeRun | null = null;
process.on('unhandledRejection', (error) => current?.abort(`a promise was rejected and nobody listened: ${describe(error)}`));

const dropped = values.drop.split(',').filter((rule): rule is keyof Rules & string => rule !== '' && rule in ALL_RULES);
const linesMax = Number(values.lines);

/** The wanted run as a case, when it is one or has to become one. */
function givenCase(): RunCase | null {
  if (values.case !== undefined) return parseCase(readFileSync(values.case, 'utf8'));
  const seed = Number(values.seed);
  if (!values.shrink) return null;
  return caseOf(seed, dropped);
}

/** Runs it, prints it, and gives whether it was good. */
async function show(run: WholeNodeRun, chart: MessageChart | null): Promise<boolean> {
  current = run;
  if (chart !== null) run.drawInto(chart);
  const result = await run.run();
  if (chart === null) for (const line of result.lines) console.log(line);
  else console.log(chart.toText());
  console.log(totalsText(addRun(NO_TOTALS, result)));
  for (const violation of result.violations) console.log(`VIOLATION ${violation}`);
  console.log(`digest ${result.digest}`);
  return result.violations.length === 0;
}

const start = givenCase();
let isGood: boolean;
if (values.shrink && start !== null) {
  const small = await shrinkRun(start, SHRINK, (run) => { current = run; }, (text) => { console.error(text); });
  if (small === null) {
    console.log('nothing to shrink: the run is good');
    isGood = true;
  } else {
    const file = values.out ?? `sim-case-${small.seed}.json`;
    writeFileSync(file, caseText(small));
    isGood = await show(caseRun(small, 0), new MessageChart(Number(values.chart ?? CHART_ROWS)));
    console.log(`${small.plan.faults.length} faults: ${small.plan.faults.map(({ atMs, fault }) => `${atMs} ms ${faultText(fault)}`).join('; ')}`);
    console.log(`operations: ${small.operations?.join(' ') ?? 'all'}`);
    console.log(`replay: npm run sim -- --case ${file}`);
  }
} else {
  const chart = values.chart === undefined ? null : new MessageChart(Number(values.chart));
  isGood = await show(start === null ? swarmRun({ seed: Number(values.seed), linesMax, rules: rulesOf({ dropped }) }) : caseRun(start, linesMax), chart);
}
process.exitCode = isGood ? 0 : 1;
