/**
 * Scope of a register search: who acts on the key, in which layouts, and which rules hold. The scopes that the tests and
 * `npm run sim:explore` walk through are in register-scopes.ts.
 *
 * Ballots are fixed by the scope: each actor's rounds have clock values of their own, and the search tries every order in
 * which the actors act, so every order of clocks and of messages occurs. Two rounds with one clock value and one node are
 * a node that restarted with its clock set back.
 */
import type { Ballot } from '../../domain/ballot.ts';
import type { NodeId, OpId } from '../../domain/ids.ts';
import type { Rules } from '../../domain/rules.ts';
import type { LiveRecord, ObjectRecord, TombstoneRecord } from '../../domain/stored-object.ts';
import { ZERO_BALLOT } from '../../domain/ballot.ts';
import type { ReplicaSets } from '../../register/joint-quorum.ts';

export interface PlannedRound {
  readonly hlc: number;
  /** Whose ballots: one letter. */
  readonly node: string;
}

/** `first`: the version that the key had at the beginning; a number: a version made by that actor. */
export type PlannedCondition = 'none' | 'absent' | 'first' | number;

export interface ActorPlan {
  readonly kind: 'put' | 'delete' | 'get';
  readonly condition: PlannedCondition;
  /** Of a get: of its identity round, if it may have one. */
  readonly rounds: readonly PlannedRound[];
}

/** Layout number i has epoch i + 1. All replicas begin in the first. */
export interface PlannedLayout extends ReplicaSets {
  /** Replicas that were not in the layout before: what they hold of an earlier time is discarded (`since`). */
  readonly joiners: readonly NodeId[];
}

/** What every replica of the first layout holds at the beginning. erased: nothing, under the floor of an erased tombstone. */
export type InitialValue = 'absent' | 'value' | 'tombstone' | 'erased';

export interface RegisterScope {
  readonly name: string;
  readonly rules: Rules;
  /** R2: the epoch stands first in every ballot; false: only the clock counts. */
  readonly isEpochInBallot: boolean;
  readonly replicas: number;
  readonly layouts: readonly PlannedLayout[];
  readonly initial: InitialValue;
  /** Hold this old value at the beginning, from a time when they were replicas before. */
  readonly leftovers: readonly NodeId[];
  readonly actors: readonly ActorPlan[];
  /** Anti-entropy copies, at most. */
  readonly copies: number;
  readonly hasEraser: boolean;
}

export const OLD_TAG = 'old';
export const FIRST_TAG = 'first';
const OLD_BALLOT: Ballot = { epoch: 1, hlc: 1, nodeId: nodeIdOf('0') };
export const FIRST_BALLOT: Ballot = { epoch: 1, hlc: 2, nodeId: nodeIdOf('0') };

export function nodeIdOf(digit: string): NodeId {
  return digit.repeat(32) as NodeId;
}

/** Replica number i: 'a', 'b', ... */
export function replicaId(index: number): NodeId {
  return nodeIdOf('abcdef'.charAt(index));
}

export function indexOf(id: NodeId): number {
  return id.charCodeAt(0) - 'a'.charCodeAt(0);
}

export function tagOf(actor: number): string {
  return `v${actor}`;
}

export function opIdOf(actor: number): OpId {
  return `op${actor}` as OpId;
}

export function ballotOf(scope: RegisterScope, round: PlannedRound, layout: number): Ballot {
  return { epoch: scope.isEpochInBallot ? layout + 1 : 1, hlc: round.hlc, nodeId: nodeIdOf(round.node) };
}

/** The versions that a condition of this plan is met by: every ballot with which that actor may write. */
export function versionsOf(scope: RegisterScope, condition: 'first' | number): readonly Ballot[] {
  if (condition === 'first') return [FIRST_BALLOT];
  const rounds = scope.actors[condition]?.rounds ?? [];
  return rounds.flatMap((round) => scope.layouts.map((_, layout) => ballotOf(scope, round, layout)));
}

/** A record that was there before the search begins. */
export function initialRecord(kind: 'object' | 'tombstone', isOld: boolean): ObjectRecord {
  const version = isOld ? OLD_BALLOT : FIRST_BALLOT;
  const base = { version, ops: [{ opId: 'before' as OpId, version, kind: kind === 'object' ? 'created' : 'deleted' }], lineageFloor: ZERO_BALLOT } as const;
  if (kind === 'tombstone') return { kind: 'tombstone', ...base } satisfies TombstoneRecord;
  const body = { bodyId: 'body' as never, size: 1, sha256: isOld ? OLD_TAG : FIRST_TAG, where: 'inline', chunkCrcs: [] } as const;
  return { kind: 'object', ...base, body, contentType: '', meta: [], createdMs: 0 } satisfies LiveRecord;
}

export function stableLayout(letters: string): PlannedLayout {
  const set = [...letters].map(nodeIdOf);
  return { old: set, new: set, isMoving: false, joiners: [] };
}

/** From the stable layout of `from` to that of `to`, through the move between them. */
export function moveLayouts(from: string, to: string): readonly PlannedLayout[] {
  const joiners = [...to].filter((letter) => !from.includes(letter)).map(nodeIdOf);
  const moving = { old: [...from].map(nodeIdOf), new: [...to].map(nodeIdOf), isMoving: true, joiners };
  return [stableLayout(from), moving, { ...stableLayout(to), joiners: [] }];
}
