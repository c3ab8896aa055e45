import type { Rules } from '../../src/domain/rules.ts';
import { runRegisterKernel, type KernelReport } from '../../src/sim/kernels/register-kernel.ts';

/** First seed from 1 to `seedsMax` whose run goes wrong under these rules; null: none did. */
export function firstViolation(rules: Rules, seedsMax: number): KernelReport | null {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const report = runRegisterKernel(seed, rules);
    if (report.violation !== null) return report;
  }
  return null;
}
