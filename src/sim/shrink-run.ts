/** Shrinks a case of whole nodes: each attempt is a run of its own. */
import type { OperationId, RunCase } from './run-case.ts';
import { Shrinker, type ShrinkOptions } from './shrink.ts';
import { caseRun } from './swarm-run.ts';
import type { WholeNodeRun } from './whole-node-run.ts';

/** Null: the case doesn't fail. `onRun`: hears of each run before it begins. */
export async function shrinkRun(
  start: RunCase, options: ShrinkOptions, onRun: (run: WholeNodeRun) => void, onProgress: (text: string) => void,
): Promise<RunCase | null> {
  let operations: readonly OperationId[] = [];
  const shrinker = new Shrinker({
    violationOf: async (runCase) => {
      const run = caseRun(runCase, 0);
      onRun(run);
      const { violations } = await run.run();
      if (violations.length > 0) operations = run.operations();
      return violations[0] ?? null;
    },
    operationsOf: () => operations,
    onProgress,
  }, options);
  return await shrinker.shrink(start);
}
