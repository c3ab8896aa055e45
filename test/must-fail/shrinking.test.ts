/** A planted bug in whole nodes is made small: what is left is a handful of faults and operations that a person can read. */
import { expect, test } from '@jest/globals';
import { MessageChart } from '../../src/sim/message-chart.ts';
import { caseText, parseCase } from '../../src/sim/run-case.ts';
import { shrinkRun } from '../../src/sim/shrink-run.ts';
import { caseOf, caseRun } from '../../src/sim/swarm-run.ts';

const SEEDS = 30;
const RUNS_MAX = 150;

test('a replica that accepts without a body is shrunk to a few faults and operations, which fail again from their case', async () => {
  const ignore = (): void => {};
  for (let seed = 1; seed <= SEEDS; seed++) {
    const start = caseOf(seed, ['acceptNeedsBody']);
    const { violations } = await caseRun(start, 0).run();
    if (!/without holding its body/.test(violations[0] ?? '')) continue;
    const small = await shrinkRun(start, { runsMax: RUNS_MAX, salts: 2 }, ignore, ignore);
    expect(small?.plan.faults.length).toBeLessThanOrEqual(4);
    expect(small?.operations?.length).toBeLessThanOrEqual(40);
    const again = caseRun(parseCase(caseText(small ?? start)), 0);
    const chart = new MessageChart(1000);
    again.drawInto(chart);
    expect((await again.run()).violations[0]).toMatch(/without holding its body/);
    expect(chart.toText()).toMatch(/(->|<-).*\| +(prepare|accept|page|records) \d+/);
    expect(chart.toText().split('\n').at(-1)).toMatch(/VIOLATION/);
    return;
  }
  throw new Error(`no seed of ${SEEDS} fails`);
}, 240_000);
