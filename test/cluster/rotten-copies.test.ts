/** Rot in single copies at run time: never served, never taken for "no value", found by reads and by the scrub, and healed. */
import { describe, expect, test } from '@jest/globals';
import { must } from '../../src/domain/assert.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { SimNode } from '../../src/sim/sim-node.ts';
import { Scenario } from '../support/scenario.ts';

const NAMES = ['node:1', 'node:2', 'node:3'];
const SMALL = 'small and long enough to be found in the log '.repeat(20);

async function play(story: (scenario: Scenario, nodes: readonly [SimNode, SimNode, SimNode]) => Promise<void>): Promise<void> {
  const scenario = new Scenario(ALL_RULES);
  expect(await scenario.run(async () => {
    await story(scenario, (await scenario.found(NAMES)) as unknown as readonly [SimNode, SimNode, SimNode]);
  })).toEqual([]);
}

/** Flips a bit wherever these bytes are stored at the node. */
function rot(node: SimNode, text: string): number {
  let found = 0;
  for (const [path, bytes] of node.disk.snapshot()) {
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length)) {
      node.disk.flipBit(path, at + 3, 2);
      found++;
    }
  }
  return found;
}

const storage = (scenario: Scenario, node: SimNode): { unhealed: number; rotten: number } => scenario.program(node).service.view().storage.scrub;

describe('rot in one copy', () => {
  test('of a small body: the scrub finds it, and an identity round brings it back', async () => {
    await play(async (scenario, [a, b, c]) => {
      await scenario.put(a, 'file', SMALL);
      await scenario.sleep(1_000);
      expect(rot(c, SMALL)).toBeGreaterThan(0);
      await scenario.until(() => storage(scenario, c).rotten === 1, () => 'the scrub finds it');
      await scenario.until(() => storage(scenario, c).unhealed === 0, () => 'it is whole again');
      await scenario.checkBodies(c);
      b.crash();
      expect(await scenario.get(c, 'file')).toBe(SMALL);
      b.start();
      await scenario.rest();
    });
  });

  test('of a record: the replica answers nothing of it until it has it again', async () => {
    await play(async (scenario, [a, b, c]) => {
      const name = 'a name that is easy to find';
      await scenario.put(a, name, SMALL);
      await scenario.sleep(1_000);
      expect(rot(c, name)).toBeGreaterThan(0);
      await scenario.until(() => storage(scenario, c).rotten > 0, () => 'the scrub finds it');
      expect(await scenario.get(c, name)).toBe(SMALL);
      await scenario.until(() => storage(scenario, c).unhealed === 0, () => 'it is whole again');
      a.crash();
      expect(await scenario.get(c, name)).toBe(SMALL);
      a.start();
      await scenario.rest();
      void b;
    });
  });

  test('of a record that was healed: the next start repeats none of the log that is rotten', async () => {
    await play(async (scenario, [a, , c]) => {
      const name = 'a name that is easy to find';
      await scenario.put(a, name, SMALL);
      await scenario.sleep(1_000);
      const before = scenario.program(c).service.view().nodeId;
      expect(rot(c, name)).toBeGreaterThan(0);
      await scenario.until(() => storage(scenario, c).rotten > 0, () => 'the scrub finds it');
      await scenario.until(() => storage(scenario, c).unhealed === 0, () => 'it is whole again');
      await scenario.sleep(1_000);
      c.kill();
      c.start();
      await scenario.rest();
      expect(scenario.program(c).service.view().nodeId).toBe(before);
      expect(await scenario.get(c, name)).toBe(SMALL);
    });
  });

  test('of a large body: the file is moved aside and pulled again', async () => {
    await play(async (scenario, [a, b, c]) => {
      const marker = 'here is the middle of a large body';
      const body = Buffer.alloc(300 * 1024, 'x');
      body.write(marker, 200 * 1024);
      let isRead = false;
      const source = {
        next: () => {
          const piece = isRead ? null : body;
          isRead = true;
          return Promise.resolve(piece);
        },
      };
      const end = await scenario.program(a).service.objects.putStream({
        name: 'large', source, expectedSize: null, verify: () => null, contentType: '', meta: [], condition: { kind: 'none' }, opId: null,
      });
      expect(end.kind).toBe('stored');
      await scenario.sleep(2_000);
      expect(rot(c, marker)).toBe(1);
      await scenario.until(() => storage(scenario, c).rotten > 0, () => 'the scrub finds it');
      await scenario.until(() => storage(scenario, c).unhealed === 0, () => 'it is whole again');
      const paths = [...c.disk.snapshot().keys()];
      expect(paths.filter((path) => path.includes('/quarantine/')).length).toBe(1);
      expect(must([...c.disk.snapshot()].find(([path]) => path.includes('/bodies/')), 'the file')[1].includes(marker)).toBe(true);
      await scenario.checkBodies(c);
      void b;
    });
  });
});
