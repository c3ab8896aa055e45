/** What GET /v1/ring says of members in trouble. */
import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import { foundingLayout } from '../../../src/layout/founding-layout.ts';
import { downInWords, recoveryWarnings, removalInWords } from '../../../src/node/member-report.ts';
import { joinerOf, nodeIdOf, randomIdOf as id } from '../ring/ring-fixture.ts';

const ring = (count: number): Layout => foundingLayout({
  clusterId: nodeIdOf('cluster') as unknown as Layout['clusterId'], keyBits: 16, replicas: 3, tokensPerNode: 2, candidatesPerToken: 2,
  members: Array.from({ length: count }, (_, i) => joinerOf(`n${i}:1`)),
});
const all = (): boolean => true;
const allBut = (name: string) => (nodeId: NodeId): boolean => nodeId !== id(name);

describe('a member that is down', () => {
  test('is told for how long, and what becomes of it', () => {
    const down = { downForMs: 90_000, watchedForMs: 90_000 };
    expect(downInWords({ ...down, verdict: { kind: 'waits', leftMs: 510_000 } })).toBe('down for 90 s; will be taken out in 9 min if it does not return');
    expect(downInWords({ ...down, verdict: { kind: 'due' } })).toContain('is being taken out');
    expect(downInWords({ ...down, verdict: { kind: 'kept', reason: { kind: 'nobody-to-replace', up: 2, members: 3, needed: 3 } } }))
      .toBe('down for 90 s; stays a member: only 3 members: nobody can replace it');
  });
});

describe('whether this node may be removed', () => {
  test('yes by leaving, with what is left then', () => {
    expect(removalInWords(ring(4), id('n0:1'), all, 0)).toEqual({ isRemovable: true, removal: 'Yes, by leaving (dht leave): it hands its copies over first.' });
    expect(removalInWords(ring(3), id('n0:1'), all, 0).removal).toContain('2 copies of everything will be left');
    expect(removalInWords(ring(2), id('n0:1'), all, 0).removal).toContain('One copy of everything will be left. Do not just stop it');
  });

  test('not the last one, not during a move, not while another is down', () => {
    expect(removalInWords(ring(1), id('n0:1'), all, 0).removal).toContain('No: this is the last member');
    expect(removalInWords({ ...ring(4), phase: 'moving' }, id('n0:1'), all, 0).removal).toContain('No: data is moving');
    expect(removalInWords(ring(4), id('n0:1'), all, 3).removal).toContain('No: 3 objects lack a copy');
    expect(removalInWords(ring(4), id('n0:1'), allBut('n2:1'), 0)).toMatchObject({ isRemovable: false, removal: 'No: n2:1 is not up, and arcs would lose their majority.' });
  });
});

describe('warnings', () => {
  test('of a recovery, for good, and of a second ring', () => {
    const layout: Layout = { ...ring(2), recoveries: [{ epoch: 99, fromEpoch: 7, atMs: 0, by: 'n0:1', lost: ['n2:1'] }] };
    const [recovered, forked] = recoveryWarnings(layout, { epoch: 300, members: ['n2:1'] });
    expect(recovered).toContain('recovered with possible loss of data at 1970-01-01T00:00:00.000Z by n0:1, which gave up n2:1 (layout 7 to 99)');
    expect(forked).toContain('Two rings: n2:1 is in another ring (layout 300)');
    expect(recoveryWarnings(ring(2), null)).toEqual([]);
  });
});
