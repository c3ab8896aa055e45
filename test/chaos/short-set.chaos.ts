/**
 * The short set of scenarios on real processes, several rings side by side: strict about what must never happen, silent
 * about speed, since the machine runs other tests beside them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { SCENARIOS } from './catalogue.ts';
import { runLocally } from './local-run.ts';
import type { ScenarioResult } from './report.ts';
import type { Scenario } from './scenario.ts';

/** A ring is three processes that work and wait; a machine with two cores bears two rings. */
const RINGS_AT_ONCE = Math.min(4, Math.max(2, availableParallelism()));
const SEED = 1;
const CLIENTS = 3;
const WHOLE_MS_MAX = 300_000;
/** All of them, on a machine that does much else. */
const TEST_MS_MAX = 900_000;

const directory = mkdtempSync(path.join(tmpdir(), 'dht-chaos-short-'));
const short = SCENARIOS.filter(({ isShort }) => isShort);
const printed = new Map<Scenario, string[]>();
const results = new Map<Scenario, Promise<ScenarioResult>>();

/** The next scenario begins when one of those before it has ended. */
function beginAll(): void {
  const lanes: Promise<unknown>[] = Array.from({ length: RINGS_AT_ONCE }, () => Promise.resolve());
  for (const [i, scenario] of short.entries()) {
    const lines: string[] = [];
    printed.set(scenario, lines);
    const result = (lanes[i % RINGS_AT_ONCE] ?? Promise.resolve()).then(() => runLocally(scenario, { seed: SEED, clients: CLIENTS, directory, print: (line) => lines.push(line), wholeMsMax: WHOLE_MS_MAX, areSpeedsChecked: false }));
    results.set(scenario, result);
    lanes[i % RINGS_AT_ONCE] = result.catch(() => undefined);
  }
}

beginAll();
afterAll(async () => {
  const ended = await Promise.allSettled(results.values());
  const isKept = ended.some((end) => end.status === 'rejected' || (end.value.kind === 'ran' && end.value.verdict.wrong.length > 0));
  if (!isKept) rmSync(directory, { recursive: true });
});

test.each(short.map((scenario) => [scenario.about, scenario] as const))('%s', async (_about, scenario) => {
  const result = await results.get(scenario)?.catch((error: unknown) => { throw new Error(`${String(error)}\n${printed.get(scenario)?.join('\n') ?? ''}`); });
  if (result?.kind === 'skipped') console.warn(`${scenario.name} is skipped: ${result.why}`);
  else if (result !== undefined && result.verdict.wrong.length > 0) throw new Error(`${scenario.name}, seed ${SEED}, data and logs in ${result.keptAt ?? ''}:\n${result.verdict.wrong.join('\n')}\n${printed.get(scenario)?.join('\n') ?? ''}`);
  expect(result).toBeDefined();
}, TEST_MS_MAX);
