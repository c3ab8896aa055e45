/**
 * Deleted names are forgotten at last: not before every replica holds the tombstone alike, and then for good.
 */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { NODE_TUNING } from '../../src/node/node-tuning.ts';
import { objectKey } from '../../src/ring/hasher.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { KEY_BITS, Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
const AGE_MS = 2_000;
const KEY = objectKey('file', KEY_BITS);
const erasure = { ...NODE_TUNING.erasure, ageMs: AGE_MS, settledMs: 500, turnMs: 1_000, passMs: 300, stepMs: 5 };

async function play(steps: (scenario: Scenario, nodes: readonly [SimNode, SimNode, SimNode]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES, { erasure });
  expect(await scenario.run(async () => {
    const [a, b, c] = await scenario.found(NAMES);
    await steps(scenario, [must(a, 'a'), must(b, 'b'), must(c, 'c')]);
  })).toEqual([]);
}

const tombstones = (scenario: Scenario, nodes: readonly SimNode[]): readonly number[] => nodes.map((node) => scenario.program(node).store.totals().tombstones);
const areErased = (scenario: Scenario, nodes: readonly SimNode[]) => (): boolean => tombstones(scenario, nodes).every((count) => count === 0);

describe('a tombstone', () => {
  test('is erased everywhere once it is old enough, and not sooner', async () => {
    await play(async (scenario, nodes) => {
      await scenario.put(nodes[0], 'file', 'gone soon');
      await scenario.remove(nodes[1], 'file');
      await scenario.sleep(AGE_MS - 100);
      expect(tombstones(scenario, nodes)).toEqual([1, 1, 1]);
      await scenario.until(areErased(scenario, nodes), () => 'it is erased');
      for (const node of nodes) {
        expect(scenario.program(node).store.head(KEY)).toBe(null);
        expect(await scenario.get(node, 'file')).toBe(null);
      }
      await scenario.put(nodes[2], 'file', 'again');
      expect(await scenario.get(nodes[0], 'file')).toBe('again');
    });
  });

  test('stays as long as one replica is away, which still has the older value; and never lets that come back', async () => {
    await play(async (scenario, nodes) => {
      const [a, b, c] = nodes;
      await scenario.put(a, 'file', 'old');
      await scenario.sleep(50);
      c.crash();
      await scenario.remove(a, 'file');
      await scenario.sleep(10 * AGE_MS);
      expect(tombstones(scenario, [a, b])).toEqual([1, 1]);
      c.start();
      await scenario.rest();
      await scenario.until(areErased(scenario, nodes), () => 'it is erased');
      for (const node of nodes) expect(await scenario.get(node, 'file')).toBe(null);
      scenario.separate(a, c);
      expect(await scenario.get(b, 'file')).toBe(null);
    });
  });

  test('that only one replica is left with goes too, and the floors outlive a restart', async () => {
    await play(async (scenario, nodes) => {
      const [a, b, c] = nodes;
      await scenario.put(a, 'file', 'x');
      await scenario.remove(a, 'file');
      await scenario.sleep(50);
      const ballot = must(scenario.program(a).store.head(KEY), 'tombstone').accepted;
      // As if the message to the third had been lost.
      for (const node of [a, b]) expect(await scenario.program(node).store.erase([{ key: KEY, ballot }])).toBe(1);
      expect(tombstones(scenario, nodes)).toEqual([0, 0, 1]);
      await scenario.until(areErased(scenario, nodes), () => 'it is erased');
      await scenario.sleep(50);
      for (const node of nodes) node.crash();
      for (const node of nodes) node.start();
      await scenario.rest();
      for (const node of nodes) expect(scenario.program(node).store.floor(KEY)).toEqual(ballot);
      expect(await scenario.get(c, 'file')).toBe(null);
    });
  });

  test('held by a leaver is let go although the others have erased theirs', async () => {
    await play(async (scenario, nodes) => {
      const d = scenario.add('node:4', NAMES, 1);
      await scenario.until(() => d.program()?.layout()?.phase === 'stable', () => 'the joiner is in');
      for (let i = 0; i < 20; i++) {
        await scenario.put(nodes[0], `file ${i}`, 'x');
        await scenario.remove(nodes[0], `file ${i}`);
      }
      expect(scenario.program(d).store.totals().tombstones).toBeGreaterThan(0);
      await scenario.program(d).service.leave();
      await scenario.until(() => scenario.program(nodes[0]).layout()?.phase === 'stable' && scenario.program(nodes[0]).layout()?.members.length === 3, () => 'it is out');
      // Cut off before it has all receipts, until there is nothing left that they could be given for.
      for (const node of nodes) scenario.separate(node, d);
      await scenario.until(areErased(scenario, nodes), () => 'the others have erased');
      expect(scenario.program(d).store.totals().tombstones).toBeGreaterThan(0);
      scenario.network.healAll();
      await scenario.until(() => d.program() === null, () => 'the leaver has ended');
    });
  });
});
