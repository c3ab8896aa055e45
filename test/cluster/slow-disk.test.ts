/** A disk that gets slow, and one that gets stuck: who hears of it, and that nothing waits for it for long. */
import { describe, expect, test } from '@jest/globals';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];

async function play(story: (scenario: Scenario, nodes: readonly [SimNode, SimNode, SimNode]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  expect(await scenario.run(async () => {
    await story(scenario, (await scenario.found(NAMES)) as unknown as readonly [SimNode, SimNode, SimNode]);
  })).toEqual([]);
}

const warnings = (scenario: Scenario, node: SimNode): string => scenario.program(node).service.ring().warnings.join(' ');

describe('a disk', () => {
  test('that takes more than a second is known to all within seconds, even unused, and forgiven when it is well again', async () => {
    await play(async (scenario, [a, , c]) => {
      c.slowDisk(2_000);
      await scenario.sleep(10_000);
      expect(warnings(scenario, a)).toContain('Slow disks: node:3');
      expect(scenario.program(c).service.view().storage.isSlow).toBe(true);
      expect(await scenario.put(a, 'file', 'content')).toBe('stored');
      expect(await scenario.get(a, 'file')).toBe('content');
      c.slowDisk(null);
      await scenario.sleep(30_000);
      expect(warnings(scenario, a)).toBe('');
    });
  });

  test('that never answers ends its process; the others go on, and it comes back when the disk does', async () => {
    await play(async (scenario, [a, b, c]) => {
      c.expectExits(true);
      c.slowDisk(600_000);
      await scenario.until(() => !c.isUp(), () => 'the process ends');
      expect(await scenario.put(a, 'file', 'content')).toBe('stored');
      c.slowDisk(null);
      c.crash();
      c.start();
      await scenario.rest();
      c.expectExits(false);
      b.crash();
      expect(await scenario.get(c, 'file')).toBe('content');
      b.start();
      await scenario.rest();
    });
  });
});
