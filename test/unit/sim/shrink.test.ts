import { describe, expect, test } from '@jest/globals';
import type { PlannedFault } from '../../../src/sim/fault-plan.ts';
import type { OperationId, RunCase } from '../../../src/sim/run-case.ts';
import { caseText, parseCase } from '../../../src/sim/run-case.ts';
import { Shrinker, violationKind } from '../../../src/sim/shrink.ts';
import { CALM_NETWORK } from '../../../src/sim/sim-network.ts';

const crashAt = (atMs: number): PlannedFault => ({ atMs, fault: { kind: 'crash', victim: atMs, downMs: 100 } });
const OPERATIONS: readonly OperationId[] = Array.from({ length: 40 }, (_, i): OperationId => `${i % 4}/${i}`);
const START: RunCase = {
  seed: 1, salt: 0, operations: null, dropped: [],
  plan: {
    initialNodes: 3, membersMin: 3, durationMs: 1000, network: { ...CALM_NETWORK, lossProbability: 0.1 },
    faults: Array.from({ length: 12 }, (_, i) => crashAt(i)), coreEnd: null, mayAdd: true,
  },
};

function shrink(violationOf: (runCase: RunCase) => string | null, runsMax = 500): Promise<RunCase | null> {
  return new Shrinker({ violationOf: (runCase) => Promise.resolve(violationOf(runCase)), operationsOf: () => OPERATIONS, onProgress: () => {} }, { runsMax, salts: 2 }).shrink(START);
}

const hasFaults = (runCase: RunCase, ...wanted: number[]): boolean => wanted.every((atMs) => runCase.plan.faults.some((fault) => fault.atMs === atMs));
const hasOperations = (runCase: RunCase, ...wanted: OperationId[]): boolean => wanted.every((operation) => runCase.operations?.includes(operation) ?? true);

describe('shrinking', () => {
  test('leaves the faults and operations that the failure needs, and a calm network where that is enough', async () => {
    const found = await shrink((runCase) => (hasFaults(runCase, 3, 8) && hasOperations(runCase, '1/5', '3/39') ? '"a" was lost at 17' : null));
    expect(found?.plan.faults.map(({ atMs }) => atMs)).toEqual([3, 8]);
    expect(found?.operations).toEqual(['1/5', '3/39']);
    expect(found?.plan.network).toEqual(CALM_NETWORK);
    expect(found?.plan.mayAdd).toBe(false);
  });

  test('does not take another failure for the same', async () => {
    const found = await shrink((runCase) => (hasFaults(runCase, 3) ? 'node:1 lost "a"' : runCase.plan.faults.length < 5 ? 'node:2 ended by itself' : null));
    expect(hasFaults(must(found), 3)).toBe(true);
  });

  test('tries other times before it gives an attempt up', async () => {
    const found = await shrink((runCase) => (hasFaults(runCase, 3) && (runCase.plan.faults.length === 12 || runCase.salt % 2 === 1) ? 'lost' : null));
    expect(found?.plan.faults).toHaveLength(1);
    expect(found?.salt).toBe(1);
  });

  test('gives nothing for a case that does not fail, and ends within its bound of runs', async () => {
    expect(await shrink(() => null)).toBeNull();
    let runs = 0;
    await shrink((runCase) => { runs++; return hasFaults(runCase, 3, 8) ? 'lost' : null; }, 20);
    expect(runs).toBeLessThanOrEqual(21);
  });

  test('knows a violation again by its words, not by its names and numbers', () => {
    expect(violationKind('node:3 accepted "file 2" without holding its body c4735d09 (49159 bytes)'))
      .toBe(violationKind('node:12 accepted "x" without holding its body 00735d0f (16 bytes)'));
    expect(violationKind('node:3 ended by itself: EIO')).not.toBe(violationKind('"a" is not linearizable'));
  });

  test('a case is read back as it was written', () => {
    expect(parseCase(caseText({ ...START, operations: OPERATIONS, dropped: ['readWriteBack'] }))).toEqual({ ...START, operations: OPERATIONS, dropped: ['readWriteBack'] });
    expect(() => parseCase('{"seed":1}')).toThrow('no "salt"');
  });
});

function must<T>(value: T | null): T {
  if (value === null) throw new Error('nothing was found');
  return value;
}
