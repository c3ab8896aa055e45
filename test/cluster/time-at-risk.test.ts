/** How long a ring had too few copies of something is counted by the nodes that hold it. */
import { expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { Scenario } from '../support/scenario.ts';
import { RecordingMeter } from '../support/recording-meter.ts';

test('time at risk grows while a node that shares arcs is down, and stops when it is back and has caught up', async () => {
  const scenario = new Scenario(ALL_RULES);
  const meter = new RecordingMeter();
  scenario.meterOf = (name) => (name === 'a:1' ? meter : new RecordingMeter());
  const atRisk = (): number => meter.value('dht_time_below_replication_factor_seconds_total', {});
  const violations = await scenario.run(async () => {
    const [a, , c] = await scenario.found(['a:1', 'b:1', 'c:1']);
    await scenario.sleep(5_000);
    const before = atRisk();
    await scenario.sleep(10_000);
    expect(atRisk()).toBe(before);
    must(c, 'c').crash();
    await scenario.sleep(10_000);
    // It takes up to two seconds to notice.
    expect(atRisk() - before).toBeGreaterThan(7);
    expect(atRisk() - before).toBeLessThanOrEqual(10.5);
    must(c, 'c').start();
    await scenario.until(() => scenario.program(must(a, 'a')).service.ring().isSafe, () => 'all is safe again');
    await scenario.sleep(1_000);
    const after = atRisk();
    await scenario.sleep(10_000);
    expect(atRisk()).toBe(after);
  });
  expect(violations).toEqual([]);
});
