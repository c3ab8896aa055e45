/** How long a member has been down, as one node counts it. */
import { describe, expect, test } from '@jest/globals';
import type { MonotonicMs } from '../../../src/domain/instant.ts';
import { MemberTable } from '../../../src/membership/member-table.ts';
import { NO_NOTES } from '../../../src/membership/membership-notes.ts';
import type { GossipEntry } from '../../../src/protocol/message.ts';
import { layoutOf, nodeIdOf } from '../ring/ring-fixture.ts';

const [self, other, third] = ['a:1', 'b:1', 'c:1'].map((name, i) => ({
  nodeId: nodeIdOf(name), name, advertise: name, tokens: [i as never], zone: '', weight: 1, state: 'member' as const,
}));
const at = (ms: number): MonotonicMs => ms as MonotonicMs;

function table(): MemberTable {
  const made = new MemberTable(self as never, { suspicionBaseMs: 4_000, restartGraceMs: 60_000 });
  made.follow(layoutOf([self, other, third] as never), at(0));
  return made;
}

const said = (state: GossipEntry['state'], incarnation: number, downForMs: number): GossipEntry =>
  ({ ...(other as never as GossipEntry), state, incarnation, downForMs, accusers: [nodeIdOf('c:1')] });

function watch(made: MemberTable, fromMs: number, toMs: number): void {
  for (let ms = fromMs; ms <= toMs; ms += 50) made.countDownTime(at(ms));
}

describe('the time that a member is down', () => {
  test('runs from what others know of it, and goes on with each tick', () => {
    const made = table();
    made.countDownTime(at(0));
    made.hear(said('down', 7, 30_000), at(0));
    watch(made, 50, 5_000);
    expect(made.down.get(nodeIdOf('b:1'))).toMatchObject({ downForMs: 35_000, watchedForMs: 5_000 });
    made.hear(said('down', 7, 40_000), at(5_000));
    expect(made.down.get(nodeIdOf('b:1'))).toMatchObject({ downForMs: 40_000, watchedForMs: 5_000 });
  });

  test('does not count the sleep of the node that counts', () => {
    const made = table();
    made.countDownTime(at(0));
    made.hear(said('down', 7, 0), at(0));
    watch(made, 50, 1_000);
    made.countDownTime(at(3_600_000));
    expect(made.down.get(nodeIdOf('b:1'))?.downForMs).toBe(2_000);
  });

  test('begins anew with a new life of the member, and isn\'t told of an old one', () => {
    const made = table();
    made.hear(said('down', 7, 500_000), at(0));
    made.hear(said('alive', 8, 0), at(10));
    expect(made.down.size).toBe(0);
    made.hear(said('down', 7, 600_000), at(20));
    expect(made.down.size).toBe(0);
    made.hear(said('down', 8, 100), at(30));
    expect(made.down.get(nodeIdOf('b:1'))).toMatchObject({ downForMs: 100, watchedForMs: 0 });
  });
});

describe('what is counted of a member', () => {
  const BOOT = 2 ** 20;

  function counted(): { readonly made: MemberTable; readonly counts: { suspected: number; refuted: number; down: number } } {
    const counts = { suspected: 0, refuted: 0, down: 0 };
    const notes = { ...NO_NOTES, suspected: () => { counts.suspected += 1; }, refuted: () => { counts.refuted += 1; }, down: () => { counts.down += 1; } };
    const made = new MemberTable(self as never, { suspicionBaseMs: 4_000, restartGraceMs: 60_000 }, notes);
    made.follow(layoutOf([self, other, third] as never), at(0));
    made.hear(said('alive', BOOT, 0), at(0));
    return { made, counts };
  }

  test('a suspicion counts once, whoever has it and whoever joins it', () => {
    const { made, counts } = counted();
    made.accuse(nodeIdOf('b:1'), at(10));
    made.hear(said('suspect', BOOT, 0), at(20));
    expect(counts).toEqual({ suspected: 1, refuted: 0, down: 0 });
  });

  test('it is refuted by the process that was suspected, also after it counted as down', () => {
    const { made, counts } = counted();
    made.hear(said('suspect', BOOT, 0), at(10));
    made.hear(said('alive', BOOT + 1, 0), at(20));
    expect(counts).toEqual({ suspected: 1, refuted: 1, down: 0 });
    made.hear(said('down', BOOT + 1, 0), at(30));
    made.hear(said('alive', BOOT + 2, 0), at(40));
    expect(counts).toEqual({ suspected: 1, refuted: 2, down: 1 });
  });

  test('a new process of the member does not refute what was said of the old one, nor does a farewell', () => {
    const { made, counts } = counted();
    made.hear(said('down', BOOT, 0), at(10));
    made.hear(said('alive', 2 * BOOT, 0), at(20));
    made.hear(said('suspect', 2 * BOOT, 0), at(30));
    made.hear(said('left', 2 * BOOT, 0), at(40));
    expect(counts).toEqual({ suspected: 1, refuted: 0, down: 1 });
  });
});
