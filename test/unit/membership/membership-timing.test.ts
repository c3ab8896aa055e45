/** How soon changes show everywhere, in virtual time. */
import { describe, expect, test } from '@jest/globals';
import type { MembershipEvent } from '../../../src/membership/membership-event.ts';
import { MembershipKernel } from '../../../src/sim/kernels/membership-kernel.ts';

const ring = { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 };
const options = { ring, latencyMs: [0.2, 3], writeMs: [0.5, 5], catchUpMs: [5, 60] } as const;
const names = Array.from({ length: 10 }, (_, i) => `localhost:${7400 + i}`);
const first = names[0] as string;

function join(...seeds: string[]): MembershipEvent {
  return { kind: 'join', seeds, initialNames: [], whenMember: 'stay', timeoutMs: null };
}

/** A ring of these nodes, each joined through another one; and the longest time that one join took. */
function grownRing(seed: number, members: readonly string[]): { kernel: MembershipKernel; slowestMs: number } {
  const kernel = new MembershipKernel(seed, options);
  let slowestMs = 0;
  members.forEach((name, i) => {
    const startedMs = kernel.nowMs;
    kernel.start(name, i === 0 ? { kind: 'found' } : join(members[kernel.random.below(i)] as string));
    const present = members.slice(0, i + 1);
    const isDone = (): boolean => kernel.wrongPointers(present).length === 0 && kernel.node(name).outcome.joined;
    if (!kernel.run(startedMs + 10_000, isDone)) throw new Error(`join of ${name}: ${kernel.wrongPointers(present).join('; ')} ${kernel.machine(name).state.detail}`);
    slowestMs = Math.max(slowestMs, kernel.nowMs - startedMs);
    kernel.run(kernel.nowMs + 1000);
  });
  return { kernel, slowestMs };
}

describe('speed of change in an idle ring', () => {
  test.each([5, 10])('each join up to %i nodes is done and visible everywhere within 2 s', (count) => {
    for (const seed of [1, 2, 3]) expect(grownRing(seed, names.slice(0, count)).slowestMs).toBeLessThan(2000);
  });

  test.each([2, 3, 5, 10])('one of %i nodes leaves: all others show it within 2 s, and it may go', (count) => {
    for (const seed of [1, 2, 3]) {
      const members = names.slice(0, count);
      const { kernel } = grownRing(seed, members);
      const leaver = members[seed % count] as string;
      const others = members.filter((name) => name !== leaver);
      const startedMs = kernel.nowMs;
      kernel.give(leaver, { kind: 'leave' });
      const isDone = (): boolean => kernel.node(leaver).outcome.left && others.every((name) => kernel.machine(name).clusterView()?.layout.members.length === others.length) && kernel.wrongPointers(others).length === 0;
      expect(kernel.run(startedMs + 2000, isDone)).toBe(true);
    }
  });

  test.each([2, 3, 5, 10])('one of %i nodes is killed: the pointers of all others are right within 3 s', (count) => {
    for (const mode of ['refused', 'silent'] as const) {
      for (const seed of [1, 2, 3, 4]) {
        const members = names.slice(0, count);
        const { kernel } = grownRing(seed, members);
        const victim = members[seed % count] as string;
        const others = members.filter((name) => name !== victim);
        kernel.run(kernel.nowMs + kernel.random.below(500));
        const startedMs = kernel.nowMs;
        if (mode === 'silent') for (const other of others) kernel.cut(victim, other);
        kernel.crash(victim);
        if (!kernel.run(startedMs + 3000, () => kernel.wrongPointers(others).length === 0)) {
          throw new Error(`${mode}, seed ${seed}: ${kernel.wrongPointers(others).join('; ')}`);
        }
        kernel.run(startedMs + 8000);
        expect(kernel.wrongPointers(others)).toEqual([]);
        const victimId = kernel.node(victim).disk.nodeId;
        expect(others.map((name) => kernel.machine(name).memberLiveness(victimId))).toEqual(others.map(() => 'down'));
      }
    }
  });

  test('a killed node that comes back with its disk is shown by all within 2 s', () => {
    const members = names.slice(0, 7);
    const { kernel } = grownRing(5, members);
    const victim = members[3] as string;
    kernel.crash(victim);
    kernel.run(kernel.nowMs + 10_000);
    const startedMs = kernel.nowMs;
    kernel.start(victim, join(first));
    expect(kernel.run(startedMs + 2000, () => kernel.wrongPointers(members).length === 0)).toBe(true);
  });

  test('a planned restart is skipped at once and accused by nobody', () => {
    const members = names.slice(0, 5);
    const { kernel } = grownRing(6, members);
    const victim = members[2] as string;
    const others = members.filter((name) => name !== victim);
    const startedMs = kernel.nowMs;
    kernel.give(victim, { kind: 'stopping' });
    expect(kernel.run(startedMs + 300, () => kernel.wrongPointers(others).length === 0)).toBe(true);
    kernel.crash(victim);
    kernel.run(kernel.nowMs + 20_000);
    const victimId = kernel.node(victim).disk.nodeId;
    expect(others.map((name) => kernel.machine(name).memberLiveness(victimId))).toEqual(others.map(() => 'restarting'));
  });

  test('an idle ring of ten sends about as many messages as its pings need', () => {
    const { kernel } = grownRing(7, names);
    kernel.run(kernel.nowMs + 5000);
    const before = kernel.messages;
    kernel.run(kernel.nowMs + 10_000);
    const perNodeAndSecond = (kernel.messages - before) / 10 / 10;
    expect(perNodeAndSecond).toBeLessThan(13);
    expect(perNodeAndSecond).toBeGreaterThan(10);
  });
});
