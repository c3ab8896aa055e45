/** Many seeds of the layout kernel, clean; then each rule dropped in turn, which has to show. */
import { describe, expect, test } from '@jest/globals';
import { runLayoutKernel, type LayoutKernelCounts } from '../../src/sim/kernels/layout-kernel.ts';
import { ALL_LAYOUT_RULES, type LayoutKernelRules } from '../../src/sim/kernels/layout-kernel-rules.ts';

const CLEAN_SEEDS = 500;
const MUST_FAIL_SEEDS = 5_000;

/** The first seed that shows a violation, and which; null: none did. */
function firstViolation(rules: LayoutKernelRules, seeds: number, onRun?: (counts: LayoutKernelCounts) => void): string | null {
  for (let seed = 0; seed < seeds; seed++) {
    const { violation, counts } = runLayoutKernel(seed, rules);
    onRun?.(counts);
    if (violation !== null) return `seed ${seed}: ${violation}`;
  }
  return null;
}

describe('the layout chain in a storm of joins, leaves, crashes, wiped disks and partitions', () => {
  test(`keeps one layout an epoch, loses and resurrects nothing and comes to rest (${CLEAN_SEEDS} seeds)`, () => {
    const sum = new Map<string, number>();
    const start = performance.now();
    const violation = firstViolation(ALL_LAYOUT_RULES, CLEAN_SEEDS, (counts) => {
      for (const [name, count] of Object.entries(counts)) sum.set(name, (sum.get(name) ?? 0) + (count as number));
    });
    console.log(`layout kernel: ${CLEAN_SEEDS} seeds, ${Math.round(CLEAN_SEEDS * 1000 / (performance.now() - start))} seeds/s`);
    expect(violation).toBeNull();
    // A storm that does nothing proves nothing.
    for (const [name, least] of [['epochs', 5], ['crashes', 2], ['wipes', 0.2], ['losses', 0.1], ['outs', 0.1], ['joins', 2], ['leaves', 1], ['partitions', 2], ['writes', 10], ['reads', 10]] as const) {
      expect(sum.get(name)).toBeGreaterThan(least * CLEAN_SEEDS);
    }
  }, 60_000);

  test('the same seed gives the same run', () => {
    expect(runLayoutKernel(7, ALL_LAYOUT_RULES)).toEqual(runLayoutKernel(7, ALL_LAYOUT_RULES));
  });
});

describe('without one rule the harness finds what goes wrong', () => {
  const dropped: readonly (readonly [string, Partial<LayoutKernelRules>, RegExp])[] = [
    ['the slot is read before the carried layout is adopted', { adoptBeforeSlot: false }, /next epoch|fork/],
    ['an accepted value is taken for decided', { acceptedIsNotDecided: false }, /fork/],
    ['a proposer keeps to its own value', { adoptHighest: false }, /fork/],
    ['a move ends before anybody has caught up', { waitsForCaught: false }, /lost|read version/],
    ['a move without a live majority isn\'t given up', { abortsWithoutMajority: false }, /stuck/],
    ['a leaver exits before the next voters know', { leaverWaits: false }, /stuck/],
    ['caught survives an adoption', { caughtReset: false }, /lost|read version|stuck/],
    ['replicas answer messages of another epoch', { epochFence: false }, /lost|read version/],
    ['quorums count the old set alone', { quorum: 'old' }, /lost|read version/],
    ['quorums count the new set alone', { quorum: 'new' }, /lost|read version/],
    ['only joiners catch up', { retainedCatchUp: false }, /lost|read version/],
    ['since is ignored', { since: 'ignored' }, /lost|read version/],
    ['since is counted for an arc as a whole', { since: 'arc' }, /lost|read version/],
    ['since is counted from the stable layout', { since: 'stable' }, /lost|read version/],
    ['registers are discarded after the layout was adopted', { discardWithLayout: false }, /lost|read version/],
  ];

  test.each(dropped)('%s', (_label, change, kind) => {
    const found = firstViolation({ ...ALL_LAYOUT_RULES, ...change }, MUST_FAIL_SEEDS);
    console.log(`${JSON.stringify(change)}: ${found?.slice(0, 150)}`);
    expect(found).toMatch(kind);
  }, 60_000);
});
