/**
 * Body source: the bytes of a body by its id from whoever still holds it. Holders are asked one after the other, without
 * waiting long for one that is silent (hedged-asking.ts), each for a bounded time; bytes count only when their length and SHA-256 are those of the record, so a rotten copy is passed
 * over like an absent one.
 * Source: protocol rules R6 and R8.
 */
import { hash } from 'node:crypto';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { CHUNK_BYTES } from '../domain/limits.ts';
import type { RecordBody } from '../domain/stored-object.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { Clock } from '../ports/clock.ts';
import { memberById } from '../ring/placement.ts';
import { askHedged } from './hedged-asking.ts';

export interface BodySourceDeps {
  readonly caller: PeerCaller;
  readonly clock: Pick<Clock, 'after'>;
  /** Milliseconds of silence after which the next holder is asked too. */
  readonly graceMs: number;
}

/** Whether these are the bytes that the record names. */
export function isBodyOf(body: RecordBody, bytes: Buffer): boolean {
  return bytes.length === body.size && hash('sha256', bytes, 'hex') === body.sha256;
}

/** Null: none of the holders gave it. Bodies of more than one chunk aren't fetched this way. */
export function fetchBody(
  { caller, clock, graceMs }: BodySourceDeps, layout: Layout, name: string, body: RecordBody, holders: readonly NodeId[], callTimeoutMs: number,
): Promise<Buffer | null> {
  if (body.size > CHUNK_BYTES) return Promise.resolve(null);
  return askHedged(clock, holders, graceMs, async (nodeId) => {
    const member = memberById(layout, nodeId);
    if (member === undefined) return null;
    const outcome = await caller.call<'body-fetch'>(
      { advertise: member.advertise, nodeId }, { kind: 'body-fetch', bodyId: body.bodyId, name, offset: 0, length: body.size }, callTimeoutMs,
    );
    if (outcome.kind !== 'reply' || outcome.reply.kind !== 'body-fetch-reply' || !outcome.reply.isHeld) return null;
    const bytes = outcome.reply.body ?? Buffer.alloc(0);
    return isBodyOf(body, bytes) ? bytes : null;
  });
}
