/** Volumes that fill up: what is refused, what goes on, and that the ring recovers by itself when there is room. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import type { PutOutcome } from '../../src/domain/object-operation.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
/** Until a level is sampled, told in pings and forgotten. */
const TOLD_MS = 6_000;

async function play(story: (scenario: Scenario, nodes: readonly SimNode[]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  expect(await scenario.run(async () => {
    await story(scenario, await scenario.found(NAMES));
  })).toEqual([]);
}

function putLarge(scenario: Scenario, through: SimNode, name: string, onRead: () => void): Promise<PutOutcome> {
  let left = 4;
  const source = {
    next: () => {
      onRead();
      return Promise.resolve(left-- > 0 ? Buffer.alloc(128 * 1024, left) : null);
    },
  };
  return scenario.program(through).service.objects.putStream({
    name, source, expectedSize: null, verify: () => null, contentType: '', meta: [], condition: { kind: 'none' }, opId: null,
  });
}

describe('a ring whose volumes fill up', () => {
  test('one nearly full volume of three refuses nothing: its node still takes copies', async () => {
    await play(async (scenario, nodes) => {
      const [a, b, c] = nodes.map((node) => must(node, 'a node')) as [SimNode, SimNode, SimNode];
      // Enough of them that a checkpoint more or less is no level more or less.
      for (let i = 0; i < 20; i++) await scenario.put(a, `old ${i}`, 'x'.repeat(50_000));
      c.fillVolume(0.93);
      await scenario.sleep(TOLD_MS);
      expect(await scenario.put(a, 'file', 'content')).toBe('stored');
      expect(await scenario.put(c, 'file 2', 'content')).toBe('stored');
      await scenario.sleep(1000);
      for (const node of [a, b, c]) await scenario.checkBodies(node);
      expect(scenario.program(c).service.view().storage.level).toBe('full');
      expect(scenario.program(a).service.ring().warnings.join()).toContain('Nearly full: node:3');
    });
  });

  test.each([0.86, 0.93])('a node that was away takes what it missed on a volume of which %d are used', async (used) => {
    await play(async (scenario, nodes) => {
      const [a, b, c] = nodes.map((node) => must(node, 'a node')) as [SimNode, SimNode, SimNode];
      for (let i = 0; i < 20; i++) await scenario.put(a, `old ${i}`, 'x'.repeat(50_000));
      c.fillVolume(used);
      await scenario.sleep(TOLD_MS);
      for (const other of [a, b]) scenario.separate(other, c);
      for (let i = 0; i < 5; i++) expect(await scenario.put(a, `missed ${i}`, 'content')).toBe('stored');
      await scenario.sleep(20_000);
      for (const other of [a, b]) scenario.unite(other, c);
      await scenario.sleep(60_000);
      expect(scenario.program(c).service.view().storage.level).not.toBe('ample');
      expect(scenario.program(c).service.ring().repair.underReplicatedObjects).toBe(0);
      await scenario.rest();
    });
  });

  test('two nearly full volumes of three refuse clients\' files at once and unread; reads and deletes go on', async () => {
    await play(async (scenario, nodes) => {
      const [a, b, c] = nodes.map((node) => must(node, 'a node')) as [SimNode, SimNode, SimNode];
      await scenario.put(a, 'file', 'x'.repeat(50_000));
      for (const node of [b, c]) node.fillVolume(0.93);
      await scenario.sleep(TOLD_MS);
      const begun = scenario.sim.clock.nowMs();
      let reads = 0;
      expect(await putLarge(scenario, a, 'large', () => { reads++; })).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_DISK_FULL' });
      expect(reads).toBe(0);
      for (const node of nodes) expect(await scenario.put(node, 'file 2', 'content')).toBe('not-applied');
      expect(scenario.sim.clock.nowMs() - begun).toBeLessThan(100);
      expect((await scenario.get(b, 'file'))?.length).toBe(50_000);
      expect((await scenario.program(c).service.objects.delete({ name: 'file', condition: { kind: 'none' }, opId: null })).kind).toBe('deleted');
      for (const node of [b, c]) node.fillVolume(null);
      await scenario.sleep(TOLD_MS + 10_000);
      expect(await scenario.put(a, 'file 2', 'content')).toBe('stored');
      expect(await scenario.get(b, 'file 2')).toBe('content');
    });
  });

  test('before the levels are told replicas refuse by themselves, and soon', async () => {
    await play(async (scenario, nodes) => {
      const [a, b, c] = nodes.map((node) => must(node, 'a node')) as [SimNode, SimNode, SimNode];
      await scenario.put(a, 'file', 'x'.repeat(50_000));
      for (const node of [b, c]) node.fillVolume(1);
      const begun = scenario.sim.clock.nowMs();
      const ends = await Promise.all([scenario.put(a, 'file 2', 'y'.repeat(60_000)), scenario.put(b, 'file 3', 'z'.repeat(60_000))]);
      expect(ends.every((end) => end !== 'stored')).toBe(true);
      expect(scenario.sim.clock.nowMs() - begun).toBeLessThan(35_000);
      for (const node of [b, c]) node.fillVolume(null);
      await scenario.sleep(TOLD_MS + 10_000);
      await scenario.rest();
      expect(await scenario.put(a, 'file 2', 'content')).toBe('stored');
      for (const node of nodes) expect(await scenario.get(node, 'file 2')).toBe('content');
      for (const node of nodes) await scenario.checkBodies(node);
    });
  });
});
