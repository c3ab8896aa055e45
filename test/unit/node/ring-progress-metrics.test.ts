import { expect, test } from '@jest/globals';
import { RingProgressMetrics } from '../../../src/node/ring-progress-metrics.ts';
import { PromMeter } from '../../../src/metrics/prom-meter.ts';
import { Simulation } from '../../../src/sim/simulation.ts';
import { layoutOf, nodeIdOf } from '../ring/ring-fixture.ts';

const MEMBERS = ['a:1', 'b:1'].map((name, i) => ({ nodeId: nodeIdOf(name), name, advertise: name, tokens: [i as never, (i + 10) as never], zone: '', weight: 1, state: 'member' as const }));

async function inSimulation(play: (made: { readonly metrics: RingProgressMetrics; readonly shown: () => Promise<Readonly<Record<string, string>>>; readonly sleep: (ms: number) => Promise<void> }) => Promise<void>, hasLayout = true): Promise<void> {
  const sim = new Simulation({ seed: 1, durationMsMax: 600_000, eventsMax: 10_000, linesMax: 10 });
  const meter = new PromMeter({ version: '0', revision: '0', nodeVersion: '0' });
  const metrics = new RingProgressMetrics(meter, sim.clock, () => (hasLayout ? { layout: layoutOf(MEMBERS), self: nodeIdOf('a:1') } : null));
  const shown = async (): Promise<Readonly<Record<string, string>>> => Object.fromEntries([...(await meter.text()).matchAll(/^dht_ring_(\S+) (\S+)$/gm)].map(([, name, value]) => [name ?? '', value ?? '']));
  const { violations } = await sim.run(() => play({ metrics, shown, sleep: (ms) => sim.clock.sleep(ms) }));
  expect(violations).toEqual([]);
}

test('without a layout there is no checksum, and every attempt to join is at 0', () => inSimulation(async ({ shown }) => {
  expect(await shown()).toMatchObject({
    checksum: '0', tokens: '0', expected_members: '0', join_duration_seconds_count: '0',
    ...Object.fromEntries(['ok', 'no_ring', 'rejected', 'unreachable'].map((result) => [`join_attempts_total{result="${result}"}`, '0'])),
  });
}, false));

test('the members that are wanted are shown while somebody tells', () => inSimulation(async ({ metrics, shown }) => {
  let wanted: number | null = 3;
  metrics.expect(() => wanted);
  expect((await shown())['expected_members']).toBe('3');
  wanted = null;
  expect((await shown())['expected_members']).toBe('0');
}));

test('the time until it serves counts once, the last change follows the layouts', () => inSimulation(async ({ metrics, shown, sleep }) => {
  const started = Number((await shown())['last_change_timestamp_seconds']);
  await sleep(2_000);
  metrics.layoutChanged();
  metrics.serves();
  await sleep(3_000);
  metrics.serves();
  const after = await shown();
  expect(Number(after['last_change_timestamp_seconds']) - started).toBeCloseTo(2);
  expect([after['join_duration_seconds_count'], Number(after['join_duration_seconds_sum'])]).toEqual(['1', 2]);
  expect(after['tokens']).toBe('2');
}));
