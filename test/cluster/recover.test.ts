/** Recovery of whole nodes whose majority is gone for good: what any survivor holds can be read afterwards. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { RecoverOutcome } from '../../src/node/node-service.ts';
import { hasher, objectKey } from '../../src/ring/hasher.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

/** Until a failure is certain everywhere. */
const CERTAIN_MS = 12_000;
const FILES = Array.from({ length: 24 }, (_, i) => `file ${i}`);

async function play(count: number, story: (scenario: Scenario, nodes: readonly SimNode[]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  expect(await scenario.run(async () => {
    await story(scenario, await scenario.found(Array.from({ length: count }, (_, i) => `node:${i + 1}`)));
  })).toEqual([]);
}

function recover(scenario: Scenario, node: SimNode, acceptDataLoss = true): Promise<RecoverOutcome> {
  return scenario.program(node).service.recover(acceptDataLoss);
}

/** Whether the node's own store has an object under the name. */
function holds(scenario: Scenario, node: SimNode, name: string): boolean {
  const program = scenario.program(node);
  const { keyBits } = must(program.layout(), 'a layout');
  hasher(name, keyBits);
  return program.store.head(objectKey(name, keyBits))?.kind === 'object';
}

describe('a ring whose majority is gone for good', () => {
  test('of two nodes, one with its disk: the other has everything, and takes new nodes in', async () => {
    await play(2, async (scenario, [left, lost]) => {
      const [a, b] = [must(left, 'a node'), must(lost, 'a node')];
      for (const name of FILES) await scenario.put(a, name, `body of ${name}`);
      expect(scenario.program(a).service.ring().warnings.join()).toContain('one failure makes keys unavailable (never wrong) until it returns');
      b.lose();
      await scenario.sleep(CERTAIN_MS);
      const refusal = await recover(scenario, a, false);
      expect(refusal).toMatchObject({ kind: 'failed', code: 'DHT_ERR_CONFLICT' });
      expect(refusal.kind === 'failed' ? refusal.detail : '').toContain('Given up for good: node:2.');
      expect(await recover(scenario, a)).toMatchObject({ kind: 'recovered' });
      await scenario.rest();
      const ring = scenario.program(a).service.ring();
      expect(ring.warnings.join()).toContain('recovered with possible loss of data');
      expect(ring.recoveries).toMatchObject([{ by: 'node:1', lost: ['node:2'] }]);
      for (const name of FILES) expect(await scenario.get(a, name)).toBe(`body of ${name}`);
      const c = scenario.add('node:3', ['node:1'], 1);
      await scenario.rest();
      a.crash();
      a.start();
      await scenario.rest();
      for (const name of FILES) expect(await scenario.get(c, name)).toBe(`body of ${name}`);
      expect(await scenario.put(c, 'new', 'content')).toBe('stored');
    });
  });

  test('of two nodes, also after the survivor was restarted alone', async () => {
    await play(2, async (scenario, [left, lost]) => {
      const [a, b] = [must(left, 'a node'), must(lost, 'a node')];
      for (const name of FILES) await scenario.put(a, name, `body of ${name}`);
      b.lose();
      a.crash();
      a.start();
      await scenario.until(() => a.program() !== null, () => 'it starts');
      expect(await recover(scenario, a)).toMatchObject({ kind: 'failed' });
      await scenario.sleep(CERTAIN_MS);
      expect(await recover(scenario, a)).toMatchObject({ kind: 'recovered' });
      await scenario.rest();
      for (const name of FILES) expect(await scenario.get(a, name)).toBe(`body of ${name}`);
    });
  });

  test('of three nodes, two: every object with a copy on the third is readable', async () => {
    await play(3, async (scenario, nodes) => {
      const [a, b, c] = [must(nodes[0], 'a node'), must(nodes[1], 'a node'), must(nodes[2], 'a node')];
      // Of these the survivor has all, and some of them only with one of the others.
      for (const name of FILES.slice(0, 12)) await scenario.put(a, name, `body of ${name}`);
      scenario.separate(a, b);
      for (const name of FILES.slice(12)) await scenario.put(a, name, `body of ${name}`);
      a.lose();
      b.lose();
      await scenario.sleep(CERTAIN_MS);
      expect(await recover(scenario, c)).toMatchObject({ kind: 'recovered' });
      await scenario.rest();
      for (const name of FILES) expect(await scenario.get(c, name)).toBe(`body of ${name}`);
    });
  });

  test('of five nodes, two: the newest record that any survivor holds counts, and a lost one that returns discards its own', async () => {
    await play(5, async (scenario, nodes) => {
      const [first, second] = [must(nodes[3], 'a node'), must(nodes[4], 'a node')];
      const left = nodes.slice(0, 3);
      const through = must(left[0], 'a node');
      for (const name of FILES) await scenario.put(through, name, `old body of ${name}`);
      await scenario.sleep(2_000);
      // One survivor at most gets the newer ones: the others of each name's replicas are cut off from it.
      for (const node of left.slice(1)) scenario.separate(through, node);
      await scenario.sleep(1_000);
      const written: string[] = [];
      for (const name of FILES) {
        if (await Promise.race([scenario.put(through, name, `new body of ${name}`), scenario.sleep(1_500)]) === 'stored') written.push(name);
      }
      for (const node of [first, second]) node.crash();
      const heldNew = written.filter((name) => left.some((node) => holds(scenario, node, name)));
      for (const node of left.slice(1)) scenario.unite(through, node);
      await scenario.sleep(CERTAIN_MS);
      expect(await recover(scenario, through)).toMatchObject({ kind: 'recovered' });
      await scenario.until(() => left.every((node) => node.program()?.layout()?.phase === 'stable' && node.program()?.layout()?.members.length === 3), () => 'the survivors are a ring');
      expect(heldNew.length).toBeGreaterThan(0);
      for (const name of heldNew) expect(await scenario.get(through, name)).toBe(`new body of ${name}`);
      first.start();
      await scenario.until(() => first.program()?.layout()?.members.length === 4 && first.program()?.layout()?.phase === 'stable', () => 'the first of the lost ones joins again');
      second.start();
      await scenario.rest();
      for (const name of heldNew) expect(await scenario.get(second, name)).toBe(`new body of ${name}`);
    });
  });

  test('a recovery is refused while a majority of voters and of each arc is up', async () => {
    await play(3, async (scenario, nodes) => {
      const a = must(nodes[0], 'a node');
      expect(await recover(scenario, a)).toMatchObject({ kind: 'failed', code: 'DHT_ERR_CONFLICT' });
      must(nodes[2], 'a node').crash();
      await scenario.sleep(CERTAIN_MS);
      const outcome = await recover(scenario, a);
      expect(outcome.kind === 'failed' ? outcome.detail : '').toContain('nothing to recover');
    });
  });
});
