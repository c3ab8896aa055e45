/**
 * Makes a failing case small: takes faults and operations away, in halves first and one by one in the end, as long as the
 * run still fails in the same way (delta debugging). The order is faults, noise, operations, and faults once more.
 *
 * The same way: the first violation is the same sentence when names, numbers and ids are left out of it. Taking anything away
 * shifts the times of all that follows, which may hide a race; so each attempt is made with a few salts, which change times
 * alone. The search is bounded in runs, never in wall time, so that it gives the same result again.
 * Source: [DeltaDebugging] "Simplifying and isolating failure-inducing input".
 */
import type { OperationId, RunCase } from './run-case.ts';
import { CALM_NETWORK } from './sim-network.ts';

export interface ShrinkDeps {
  /** The first violation of the case; null: none. */
  readonly violationOf: (runCase: RunCase) => Promise<string | null>;
  /** All operations of the case, as its run counted them. */
  readonly operationsOf: (runCase: RunCase) => readonly OperationId[];
  readonly onProgress: (text: string) => void;
}

export interface ShrinkOptions {
  readonly runsMax: number;
  /** Times of network and disk that each attempt is tried with. */
  readonly salts: number;
}

/** What stays of a violation when names, numbers and ids are left out. */
export function violationKind(violation: string): string {
  const first = violation.split('\n', 1)[0] ?? '';
  return first.replace(/"[^"]*"/g, '"?"').replace(/\bnode:\d+/g, 'node').replace(/\b[0-9a-f]{8,}\b/g, 'id').replace(/\d+/g, '#')
    .replace(/: after .*| at the end, expected.*/, '').slice(0, 80);
}

export class Shrinker {
  readonly #deps: ShrinkDeps;
  readonly #options: ShrinkOptions;
  #runs = 0;
  #kind = '';

  constructor(deps: ShrinkDeps, options: ShrinkOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get runs(): number {
    return this.#runs;
  }

  /** The smallest case found that fails as this one does; null: this one doesn't fail. */
  async shrink(start: RunCase): Promise<RunCase | null> {
    const violation = await this.#deps.violationOf(start);
    if (violation === null) return null;
    this.#kind = violationKind(violation);
    let found = await this.#shrinkFaults(start);
    for (const change of [{ network: CALM_NETWORK }, { coreEnd: null }]) found = (await this.#fails({ ...found, plan: { ...found.plan, ...change } })) ?? found;
    found = await this.#shrinkOperations(found);
    return await this.#shrinkFaults(found);
  }

  async #shrinkFaults(start: RunCase): Promise<RunCase> {
    const with_ = (runCase: RunCase, faults: RunCase['plan']['faults']): RunCase => ({ ...runCase, plan: { ...runCase.plan, faults, mayAdd: false } });
    // The run itself adds a crash and a join where the plan has none: not in a shrunk case.
    const bare = (await this.#fails(with_(start, start.plan.faults))) ?? start;
    if (bare === start && start.plan.mayAdd) return start;
    return await this.#reduce(bare, bare.plan.faults, with_, 'faults');
  }

  async #shrinkOperations(start: RunCase): Promise<RunCase> {
    const operations = start.operations ?? this.#deps.operationsOf(start);
    return await this.#reduce(start, operations, (runCase, kept) => ({ ...runCase, operations: kept }), 'operations');
  }

  /** Takes away ever smaller parts of the items while the case still fails. */
  async #reduce<T>(start: RunCase, all: readonly T[], build: (runCase: RunCase, kept: readonly T[]) => RunCase, what: string): Promise<RunCase> {
    let found = start;
    let items = all;
    let part = Math.ceil(items.length / 2);
    while (items.length > 0 && this.#runs < this.#options.runsMax) {
      let hasShrunk = false;
      for (let at = 0; at < items.length && this.#runs < this.#options.runsMax;) {
        const kept = [...items.slice(0, at), ...items.slice(at + part)];
        const failing = await this.#fails(build(found, kept));
        if (failing === null) {
          at += part;
          continue;
        }
        found = failing;
        items = kept;
        hasShrunk = true;
      }
      this.#deps.onProgress(`${items.length} ${what} left after ${this.#runs} runs`);
      if (part === 1 && !hasShrunk) break;
      part = Math.max(1, Math.min(Math.ceil(part / 2), items.length));
    }
    return found;
  }

  /** The case with the salt under which it still fails in the same way; null: under none that were tried. */
  async #fails(runCase: RunCase): Promise<RunCase | null> {
    for (let i = 0; i < this.#options.salts && this.#runs < this.#options.runsMax; i++) {
      const attempt = { ...runCase, salt: runCase.salt + i };
      this.#runs++;
      const violation = await this.#deps.violationOf(attempt);
      if (violation !== null && violationKind(violation) === this.#kind) return attempt;
    }
    return null;
  }
}
