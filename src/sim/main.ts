/**
 * `npm run sim -- --seed N [--lines N]`: replays one run of whole nodes and prints its transcript, its counts and its
 * digest. The same seed gives the same digest on every machine. Exit code 1: a violation.
 */
import { parseArgs } from 'node:util';
import { ALL_RULES } from '../domain/rules.ts';
import { describe } from './simulation.ts';
import { swarmRun } from './swarm-run.ts';
import { addRun, NO_TOTALS, totalsText } from './swarm-summary.ts';

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, lines: { type: 'string', default: '20000' } } });

const run = swarmRun({ seed: Number(values.seed), linesMax: Number(values.lines), rules: ALL_RULES });
process.on('unhandledRejection', (error) => run.abort(`a promise was rejected and nobody listened: ${describe(error)}`));

const result = await run.run();
for (const line of result.lines) console.log(line);
console.log(totalsText(addRun(NO_TOTALS, result)));
for (const violation of result.violations) console.log(`VIOLATION ${violation}`);
console.log(`digest ${result.digest}`);
process.exitCode = result.violations.length === 0 ? 0 : 1;
