import { describe, expect, test } from '@jest/globals';
import { decideShutdown, type ShutdownEvidence } from '../../../src/kubernetes/shutdown-decision.ts';
import type { DesiredNodes } from '../../../src/ports/cluster-info.ts';

const known = (over: Partial<DesiredNodes & { kind: 'known' }> = {}): DesiredNodes => ({ kind: 'known', uid: 'u1', replicas: 3, firstOrdinal: 0, isDeleting: false, ...over });
const evidence = (over: Partial<ShutdownEvidence> = {}): ShutdownEvidence => ({
  policy: 'auto', ordinal: 4, uidAtStart: 'u1', desired: known(), isEveryArcAvailable: true, memberCount: 5, ...over,
});

describe('leave or restart at SIGTERM', () => {
  test('leaves when the fresh read proves that the ordinal is beyond the wanted nodes', () => {
    expect(decideShutdown(evidence()).kind).toBe('leave');
    expect(decideShutdown(evidence({ ordinal: 3 })).kind).toBe('leave');
    expect(decideShutdown(evidence({ ordinal: 12, desired: known({ firstOrdinal: 9 }) })).kind).toBe('leave');
    expect(decideShutdown(evidence({ uidAtStart: null })).kind).toBe('leave');
  });

  test.each<[string, Partial<ShutdownEvidence>]>([
    ['the ordinal is wanted', { ordinal: 2 }],
    ['the ordinal is wanted, with a first ordinal above 0', { ordinal: 11, desired: known({ firstOrdinal: 9 }) }],
    ['the StatefulSet is gone', { desired: { kind: 'gone' } }],
    ['the API gives no answer', { desired: { kind: 'unknown', detail: 'no answer' } }],
    ['the StatefulSet is being deleted', { desired: known({ isDeleting: true }) }],
    ['zero nodes are wanted', { desired: known({ replicas: 0 }) }],
    ['another set has the name', { desired: known({ uid: 'u2' }) }],
    ['the pod has no ordinal', { ordinal: null }],
    ['an arc has no majority', { isEveryArcAvailable: false }],
    ['this is the last member', { memberCount: 1 }],
    ['the policy is never', { policy: 'never' }],
    ['the policy is always, but this is the last member', { policy: 'always', memberCount: 1 }],
    ['the policy is always, but an arc has no majority', { policy: 'always', isEveryArcAvailable: false }],
  ])('restarts when %s', (_what, over) => {
    expect(decideShutdown(evidence(over)).kind).toBe('restart');
  });

  test('leaves whatever is wanted when the policy is always', () => {
    expect(decideShutdown(evidence({ policy: 'always', ordinal: null, desired: { kind: 'gone' } })).kind).toBe('leave');
  });

  test('every combination of doubts is a restart', () => {
    const doubts: Partial<ShutdownEvidence>[] = [
      { desired: { kind: 'gone' } }, { desired: { kind: 'unknown', detail: '' } }, { desired: known({ replicas: 0 }) }, { desired: known({ isDeleting: true }) },
    ];
    for (const doubt of doubts) {
      for (const ordinal of [0, 3, 99, null]) for (const memberCount of [1, 2, 9]) expect(decideShutdown(evidence({ ...doubt, ordinal, memberCount })).kind).toBe('restart');
    }
  });
});
