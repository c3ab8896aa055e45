/** A replica that was away gets what it missed, and nothing else. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { equalBallots, ZERO_BALLOT } from '../../src/domain/ballot.ts';
import type { Position, RingArc } from '../../src/domain/ring-position.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
const WHOLE_RING: RingArc = { from: 0 as Position, to: 0 as Position };

async function play(story: (scenario: Scenario, nodes: readonly [SimNode, SimNode, SimNode]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  expect(await scenario.run(async () => {
    const [a, b, c] = await scenario.found(NAMES);
    await story(scenario, [must(a, 'a'), must(b, 'b'), must(c, 'c')]);
  })).toEqual([]);
}

/** Keys whose accepted ballots aren't the same on both. */
function differences(scenario: Scenario, a: SimNode, b: SimNode): number {
  const [one, other] = [scenario.program(a).store, scenario.program(b).store];
  const keys = new Set([one, other].flatMap((store) => store.scan(WHOLE_RING, null, 10_000).entries.map(({ key }) => key)));
  return [...keys].filter((key) => !equalBallots(one.head(key)?.accepted ?? ZERO_BALLOT, other.head(key)?.accepted ?? ZERO_BALLOT)).length;
}

function areAlike(scenario: Scenario, ...nodes: readonly SimNode[]): boolean {
  const [first, ...others] = nodes.map((node) => Buffer.from(scenario.program(node).store.digests([WHOLE_RING], null)));
  return others.every((other) => first?.equals(other) === true);
}

async function putAll(scenario: Scenario, through: SimNode, count: number, body: string): Promise<void> {
  for (let at = 0; at < count; at += 100) {
    await Promise.all(Array.from({ length: Math.min(100, count - at) }, (_, i) => scenario.put(through, `file ${at + i}`, `${body} ${at + i}`)));
  }
}

/** Puts so that `c` never hears of it, and no node notices that a link was cut. */
async function putWithout(scenario: Scenario, through: SimNode, c: SimNode, names: readonly string[]): Promise<void> {
  scenario.network.cut(through.name, c.name);
  for (const name of names) await scenario.put(through, name, `new ${name}`);
  scenario.network.resetConnections(c.name);
  scenario.network.heal(through.name, c.name);
}

describe('a replica that missed single writes', () => {
  test('is told their keys by who coordinated them, and pulls them within seconds', async () => {
    await play(async (scenario, [a, b, c]) => {
      await putAll(scenario, a, 20, 'before');
      await putWithout(scenario, a, c, ['file 3', 'file 7', 'another']);
      expect(differences(scenario, a, c)).toBe(3);
      await scenario.until(() => areAlike(scenario, a, b, c), () => `${differences(scenario, a, c)} are equal again`);
      const { repair } = scenario.program(a).service.ring();
      expect(repair).toMatchObject({ underReplicatedObjects: 0, hintsQueued: 0, oldestUnrepairedSeconds: null });
    });
  });

  test('counts as lacking copies, in words, until it has them', async () => {
    await play(async (scenario, [a, , c]) => {
      await putAll(scenario, a, 20, 'before');
      await scenario.sleep(100);
      c.crash();
      await scenario.sleep(3_000);
      await scenario.put(a, 'file 3', 'meanwhile');
      await scenario.sleep(3_000);
      const during = scenario.program(a).service.ring();
      expect(during).toMatchObject({ isSafe: false, repair: { underReplicatedObjects: 20, hintsQueued: 1 } });
      expect(during.repair.summary).toMatch(/20 objects known here lack a copy; the oldest has waited for \d+ s/);
      c.start();
      await scenario.rest();
      await scenario.until(() => scenario.program(a).service.ring().isSafe && scenario.program(c).service.ring().isSafe, () => scenario.program(a).service.ring().safety);
    });
  });
});

describe('a replica that was away', () => {
  test('is alike again within seconds after it was down during 500 writes', async () => {
    await play(async (scenario, [a, b, c]) => {
      await putAll(scenario, a, 300, 'before');
      c.crash();
      await putAll(scenario, a, 500, 'meanwhile');
      expect(differences(scenario, a, b)).toBe(0);
      c.start();
      await scenario.rest();
      const missed = differences(scenario, a, c);
      const beganAt = scenario.sim.clock.nowMs();
      await scenario.until(() => areAlike(scenario, a, b, c), () => `${differences(scenario, a, c)} are equal again`);
      expect(missed).toBeGreaterThan(0);
      expect(scenario.sim.clock.nowMs() - beganAt).toBeLessThan(3_000);
      await scenario.checkBodies(c);
    });
  }, 120_000);

  test('is alike again by comparing digests alone, when nobody remembers what it missed', async () => {
    await play(async (scenario, [a, b, c]) => {
      await putAll(scenario, a, 50, 'before');
      await scenario.sleep(100);
      c.crash();
      await putAll(scenario, a, 30, 'meanwhile');
      await scenario.sleep(3_000);
      for (const node of [a, b]) node.crash();
      for (const node of [a, b, c]) node.start();
      await scenario.rest();
      expect(scenario.program(a).service.ring().repair.hintsQueued).toBe(0);
      await scenario.until(() => areAlike(scenario, a, b, c), () => `${differences(scenario, a, c)} are equal again`);
      await scenario.until(() => scenario.program(c).service.ring().isSafe, () => scenario.program(c).service.ring().safety);
    });
  });

  test('is alike again after a partition healed', async () => {
    await play(async (scenario, [a, b, c]) => {
      await putAll(scenario, a, 40, 'before');
      scenario.separate(a, c);
      scenario.separate(b, c);
      await scenario.sleep(5_000);
      await putAll(scenario, a, 60, 'meanwhile');
      scenario.unite(a, c);
      scenario.unite(b, c);
      expect(differences(scenario, a, c)).toBe(60);
      await scenario.until(() => areAlike(scenario, a, b, c), () => `${differences(scenario, a, c)} are equal again`);
    });
  });
});
