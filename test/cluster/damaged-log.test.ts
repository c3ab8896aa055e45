/** A log that has rotted: the node never votes again under its old id, and never gives up what the ring may need. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
const FILES = Array.from({ length: 12 }, (_, i) => `file ${i}`);

async function play(story: (scenario: Scenario, nodes: readonly [SimNode, SimNode, SimNode]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  expect(await scenario.run(async () => {
    const nodes = await scenario.found(NAMES);
    for (const file of FILES) await scenario.put(must(nodes[0], 'a node'), file, `content of ${file}`);
    await scenario.sleep(2_000);
    await story(scenario, nodes as unknown as readonly [SimNode, SimNode, SimNode]);
  })).toEqual([]);
}

async function readAll(scenario: Scenario, through: SimNode): Promise<void> {
  for (const file of FILES) expect(await scenario.get(through, file)).toBe(`content of ${file}`);
}

describe('a node whose log has rotted', () => {
  test('comes back as a new member while the others have a majority of everything, and gets it all again', async () => {
    await play(async (scenario, [a, b, c]) => {
      const before = scenario.program(c).service.view().nodeId;
      c.crash();
      expect(c.rotLog()).toBe(true);
      c.start();
      await scenario.rest();
      expect(scenario.program(c).service.view().nodeId).not.toBe(before);
      expect(scenario.program(a).service.view().clusterId).toBe(scenario.program(c).service.view().clusterId);
      await scenario.until(() => scenario.program(c).store.totals().objects === FILES.length, () => 'it has every file again');
      // Its copies count: without another node everything is still there.
      b.crash();
      await readAll(scenario, c);
      b.start();
      await scenario.rest();
    });
  });

  test('does not come back, and changes nothing, while another member is down: its log may be needed', async () => {
    await play(async (scenario, [a, b, c]) => {
      const before = scenario.program(c).service.view().nodeId;
      b.crash();
      c.crash();
      c.rotLog();
      const disk = new Map(c.disk.snapshot());
      c.expectExits(true);
      c.start();
      await scenario.sleep(60_000);
      expect(c.program()).toBeNull();
      for (const [path, bytes] of disk) expect(c.disk.snapshot().get(path)?.equals(bytes)).toBe(true);
      b.start();
      await scenario.until(() => c.program() !== null, () => 'it starts once the others are there');
      c.expectExits(false);
      await scenario.rest();
      expect(scenario.program(c).service.view().nodeId).not.toBe(before);
      await readAll(scenario, a);
    });
  });

  test('two of three with rot: neither gives up its log', async () => {
    await play(async (scenario, [, b, c]) => {
      for (const node of [b, c]) {
        node.crash();
        node.rotLog();
        node.expectExits(true);
        node.start();
      }
      await scenario.sleep(60_000);
      for (const node of [b, c]) {
        expect(node.program()).toBeNull();
        node.crash();
        node.expectExits(false);
      }
    });
  });
});
