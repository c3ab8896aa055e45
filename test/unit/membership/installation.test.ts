/** What an installation adds to membership: a record of its ring that founders ask first, and members that nobody wants back. */
import { describe, expect, test } from '@jest/globals';
import type { MembershipEvent } from '../../../src/membership/membership-event.ts';
import { MembershipKernel } from '../../../src/sim/kernels/membership-kernel.ts';

const ring = { keyBits: 16, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1 };
const NAMES = ['dht-0:7400', 'dht-1:7400', 'dht-2:7400', 'dht-3:7400', 'dht-4:7400'] as const;
const FIRST = NAMES.slice(0, 3);
const start: MembershipEvent = { kind: 'join', seeds: FIRST, initialNames: FIRST, whenMember: 'stay', timeoutMs: null };

function kernelOf(seed: number): MembershipKernel {
  return new MembershipKernel(seed, { ring, latencyMs: [0.2, 3], writeMs: [0.5, 5], catchUpMs: [5, 60], outAfterMs: null, hasRecord: true });
}

const areMembers = (kernel: MembershipKernel, names: readonly string[]): boolean => kernel.wrongPointers(names).length === 0 && names.every((name) => kernel.machine(name).state.kind === 'member');

describe('a recorded ring', () => {
  test('is founded once the record has its founder', () => {
    const kernel = kernelOf(1);
    for (const name of FIRST) kernel.start(name, start);
    expect(kernel.run(20_000, () => areMembers(kernel, FIRST))).toBe(true);
    expect([...kernel.clusters]).toEqual([kernel.recordedFounder]);
  });

  test.each([1, 2, 3, 4, 5])('stays the only one when the first node loses its disk and all others are away or empty (%d)', (seed) => {
    const kernel = kernelOf(seed);
    for (const name of FIRST) kernel.start(name, start);
    expect(kernel.run(20_000, () => areMembers(kernel, FIRST))).toBe(true);
    for (const name of FIRST) kernel.wipe(name);
    for (const name of FIRST) kernel.start(name, start);
    kernel.run(kernel.nowMs + 60_000);
    expect(kernel.clusters.size).toBe(1);
    for (const name of FIRST) expect(kernel.machine(name).state.kind).toBe('joining');
    expect(kernel.machine(FIRST[0] as string).state.detail).toContain('not permitted');
  });

  test('takes a node back that lost its disk', () => {
    const kernel = kernelOf(7);
    for (const name of FIRST) kernel.start(name, start);
    kernel.run(20_000, () => areMembers(kernel, FIRST));
    kernel.wipe(FIRST[0] as string);
    kernel.run(kernel.nowMs + 5_000);
    kernel.start(FIRST[0] as string, start);
    expect(kernel.run(kernel.nowMs + 30_000, () => areMembers(kernel, FIRST))).toBe(true);
    expect(kernel.clusters.size).toBe(1);
  });
});

describe('members that are down and not wanted back', () => {
  function ringOfFive(): MembershipKernel {
    const kernel = kernelOf(11);
    for (const name of NAMES) kernel.start(name, start);
    expect(kernel.run(40_000, () => areMembers(kernel, NAMES))).toBe(true);
    return kernel;
  }

  test.each(NAMES.slice(0, 3))('leave on the word of any member: %s', (teller) => {
    const kernel = ringOfFive();
    let stayers: readonly string[] = NAMES;
    for (const gone of ['dht-4:7400', 'dht-3:7400']) {
      stayers = stayers.filter((name) => name !== gone);
      kernel.crash(gone);
      kernel.run(kernel.nowMs + 15_000);
      kernel.give(teller, { kind: 'orphans', names: [gone] });
      const isOut = (name: string): boolean => kernel.machine(name).clusterView()?.layout.members.length === stayers.length;
      expect(kernel.run(kernel.nowMs + 30_000, () => areMembers(kernel, stayers) && stayers.every(isOut))).toBe(true);
    }
  });

  test('stay when they are up, whatever is said', () => {
    const kernel = ringOfFive();
    kernel.give('dht-0:7400', { kind: 'orphans', names: ['dht-4:7400', 'nobody:1'] });
    kernel.run(kernel.nowMs + 20_000);
    expect(areMembers(kernel, NAMES)).toBe(true);
  });
});
