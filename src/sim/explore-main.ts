/**
 * `npm run sim:explore [-- --large] [-- --only TEXT] [--states N]`: searches every state of the small scopes (and of the large
 * ones) of the register core and of the layout chain; prints states, rate, and the trace of a violation. Exit code 1: there is one. `--only`
 * takes the scopes whose name has the text in it; `--states` ends a search early, which the output then says.
 */
import { parseArgs } from 'node:util';
import { search } from './explorer/search.ts';
import { LARGE_TARGETS, SMALL_TARGETS, type SearchTarget } from './explorer/targets.ts';

/** More than a Set of JavaScript can hold with ease. */
const STATES_MAX = 12_000_000;

function explore({ name, open }: SearchTarget, statesMax: number): { readonly states: number; readonly seconds: number; readonly isRight: boolean } {
  const start = process.hrtime.bigint();
  const { states, transitions, depth, isComplete, violation } = search(open(), statesMax);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const extent = isComplete ? 'complete' : violation === null ? 'NOT COMPLETE' : 'stopped';
  console.log(`${name}: ${states} states, ${transitions} transitions, depth ${depth}, ${extent}, ${seconds.toFixed(1)} s, ${Math.round(states / seconds)} states/s`);
  if (violation !== null) console.log([`  VIOLATION: ${violation.what}`, ...violation.trace.map((action, i) => `  ${i + 1}. ${action}`)].join('\n'));
  return { states, seconds, isRight: violation === null };
}

const { values } = parseArgs({
  options: {
    large: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    states: { type: 'string', default: String(STATES_MAX) },
  },
});
const targets = [...SMALL_TARGETS, ...(values.large ? LARGE_TARGETS : [])].filter(({ name }) => name.includes(values.only));
const results = targets.map((target) => explore(target, Number(values.states)));
const states = results.reduce((sum, result) => sum + result.states, 0);
const seconds = results.reduce((sum, result) => sum + result.seconds, 0);
console.log(`${results.length} scopes, ${states} states, ${seconds.toFixed(1)} s, ${Math.round(states / seconds)} states/s on one core, ${results.filter(({ isRight }) => !isRight).length} with a violation`);
process.exitCode = results.every(({ isRight }) => isRight) ? 0 : 1;
