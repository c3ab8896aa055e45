/**
 * A case: one run as a value. A seed alone decides everything, but means something else as soon as the plan draws one number
 * more; a case has its faults spelled out and names the operations that clients do, so that it can be shortened, read by a
 * person, and kept as a regression.
 *
 * What still follows from the seed: the shape of the ring (sizes, tokens), what each operation is, and times of network and
 * disk. `salt` gives other times to the same case.
 */
import type { Rules } from '../domain/rules.ts';
import { ALL_RULES } from '../domain/rules.ts';
import type { FaultPlan } from './fault-plan.ts';

/** Client number, then the operation's number of that client. */
export type OperationId = `${number}/${number}`;

export interface RunCase {
  readonly seed: number;
  readonly salt: number;
  readonly plan: FaultPlan;
  /** Null: all of them. */
  readonly operations: readonly OperationId[] | null;
  /** Rules that are switched off: only in cases that must fail. */
  readonly dropped: readonly (keyof Rules)[];
}

export function rulesOf({ dropped }: Pick<RunCase, 'dropped'>): Rules {
  return Object.fromEntries(Object.entries(ALL_RULES).map(([rule, isOn]) => [rule, isOn && !dropped.includes(rule as keyof Rules)])) as unknown as Rules;
}

export function caseText(runCase: RunCase): string {
  const { plan, ...rest } = runCase;
  const faults = plan.faults.map((planned) => `      ${JSON.stringify(planned)}`).join(',\n');
  const planText = JSON.stringify({ ...plan, faults: [] }, null, 2).replace('"faults": []', faults === '' ? '"faults": []' : `"faults": [\n${faults}\n    ]`);
  return `${JSON.stringify({ ...rest, plan: null }, null, 2).replace('"plan": null', () => `"plan": ${planText.replaceAll('\n', '\n  ')}`)}\n`;
}

/** Reads what `caseText` wrote; throws with what is missing. */
export function parseCase(text: string): RunCase {
  const value = JSON.parse(text) as Partial<RunCase>;
  for (const field of ['seed', 'salt', 'plan', 'operations', 'dropped'] as const) {
    if (value[field] === undefined) throw new Error(`the case has no "${field}"`);
  }
  return value as RunCase;
}
