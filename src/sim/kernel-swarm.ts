/**
 * Many seeds of one kernel simulation in this process: the pure rules alone, a hundred times as fast as whole nodes.
 * A seed of the register kernel whose history can't be decided within its bound proves nothing and counts as failed.
 */
import { ALL_RULES } from '../domain/rules.ts';
import { ALL_LAYOUT_RULES } from './kernels/layout-kernel-rules.ts';
import { runLayoutKernel } from './kernels/layout-kernel.ts';
import { runMembershipStorm } from './kernels/membership-storm.ts';
import { runRegisterKernel } from './kernels/register-kernel.ts';

export type KernelName = 'register' | 'layout' | 'membership';
export const KERNEL_NAMES: readonly KernelName[] = ['register', 'layout', 'membership'];

export interface KernelRun {
  /** Null: nothing wrong. */
  readonly violation: string | null;
  readonly counts: Readonly<Record<string, number>>;
}

export function runKernel(kernel: KernelName, seed: number): KernelRun {
  switch (kernel) {
    case 'register': {
      const { violation, isUndecided, counts } = runRegisterKernel(seed, ALL_RULES);
      return { violation: violation ?? (isUndecided ? 'its history is too tangled to be decided' : null), counts: { ...counts } };
    }
    case 'layout': {
      const { violation, counts } = runLayoutKernel(seed, ALL_LAYOUT_RULES);
      return { violation, counts: { ...counts } };
    }
    case 'membership': {
      const { problems, counts } = runMembershipStorm(seed);
      return { violation: problems.length === 0 ? null : problems.join('; '), counts: { ...counts } };
    }
  }
}

export interface KernelTotals {
  readonly seeds: number;
  readonly failed: number;
  readonly counts: Readonly<Record<string, number>>;
}

export function addKernelTotals(a: KernelTotals, b: KernelTotals): KernelTotals {
  const counts: Record<string, number> = { ...a.counts };
  for (const [name, count] of Object.entries(b.counts)) counts[name] = (counts[name] ?? 0) + count;
  return { seeds: a.seeds + b.seeds, failed: a.failed + b.failed, counts };
}

export const NO_KERNEL_TOTALS: KernelTotals = { seeds: 0, failed: 0, counts: {} };

/** Runs the seeds one after the other, up to `failedMax` failing ones. */
export function runKernelSeeds(kernel: KernelName, from: number, seeds: number, failedMax: number, onFailed: (seed: number, violation: string) => void): KernelTotals {
  const counts: Record<string, number> = {};
  let failed = 0;
  let done = 0;
  for (let seed = from; seed < from + seeds && failed < failedMax; seed++) {
    const run = runKernel(kernel, seed);
    done++;
    for (const [name, count] of Object.entries(run.counts)) counts[name] = (counts[name] ?? 0) + count;
    if (run.violation === null) continue;
    failed++;
    onFailed(seed, run.violation);
  }
  return { seeds: done, failed, counts };
}
