/**
 * Reading large bodies for clients: finds a replica that really has the body before the answer begins, then streams from
 * the nearest one. When the whole was read its SHA-256 is held against the record before the last piece is handed over, so
 * that a client never gets a complete-looking wrong body.
 *
 * A body that no replica has any more was replaced after its record was read: then the record has to be read again.
 * Source: protocol section C.3, rule R8.
 */
import { createHash, type Hash } from 'node:crypto';
import { DhtError } from '../domain/error-catalogue.ts';
import type { NodeId } from '../domain/ids.ts';
import type { BodyReader, ByteRange } from '../domain/object-operation.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { LiveRecord, RecordBody } from '../domain/stored-object.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { hasher } from '../ring/hasher.ts';
import { memberById, replicaSets } from '../ring/placement.ts';
import { BodyStream } from '../transfer/body-stream.ts';
import { askHedged } from './hedged-asking.ts';
import type { OperationContext } from './operation-context.ts';

export type OpenBody = (range: ByteRange) => BodyReader;

/** Opens a body whose bytes are at hand. */
export function openBytes(bytes: Buffer): OpenBody {
  return ({ offset, length }) => {
    let rest: Buffer | null = length === 0 ? null : bytes.subarray(offset, offset + length);
    return {
      next: () => {
        const piece = rest;
        rest = null;
        return Promise.resolve(piece);
      },
      cancel: () => { rest = null; },
    };
  };
}

/** Opens a body on its replicas: `holders` are asked before the others, this node and reachable ones first. */
export function openStored(context: OperationContext, name: string, body: RecordBody, holders: readonly NodeId[]): OpenBody {
  const { large, caller, options } = context;
  return (range) => {
    const stream = new BodyStream({ caller, pauses: large.pauses, ahead: large.ahead }, options.streams, {
      name, bodyId: body.bodyId, size: body.size, range, holders: () => targetsOf(context, name, holders),
    });
    return range.offset === 0 && range.length >= body.size ? new CheckedReader(stream, body) : stream;
  };
}

/**
 * The replica of the order that really has the body comes first in the result; null: nobody has it any more, or nobody
 * answers. Asking also keeps a replaced body readable for a while.
 */
export function locateBody(
  context: OperationContext, name: string, record: LiveRecord, holders: readonly NodeId[], callTimeoutMs: number,
): Promise<readonly NodeId[] | null> {
  const { body } = record;
  const { timers, options } = context;
  return askHedged(timers, targetsOf(context, name, holders), options.readGraceMs, async (target) => {
    const request = { kind: 'body-fetch', bodyId: body.bodyId, name, offset: 0, length: 1 } as const;
    const outcome = await context.caller.call<'body-fetch'>(target, request, callTimeoutMs);
    if (outcome.kind === 'reply' && outcome.reply.kind === 'body-fetch-reply' && outcome.reply.isHeld && target.nodeId !== null) {
      return [target.nodeId, ...holders.filter((id) => id !== target.nodeId)];
    }
    return null;
  });
}

/** This node first if it is a replica, then the holders, then the other replicas of the present layout; unreachable ones last. */
function targetsOf(context: OperationContext, name: string, holders: readonly NodeId[]): readonly PeerTarget[] {
  const view = context.views.current();
  if (view === null) return [];
  const { layout } = view;
  const { all } = replicaSets(layout, hasher(name, layout.keyBits));
  const candidates = [...holders, ...all.filter((id) => !holders.includes(id))];
  const rankOf = (id: NodeId): number => (view.unreachable.has(id) ? 4 : view.strain.slow.has(id) ? 3 : id === view.self ? 0 : holders.includes(id) ? 1 : 2);
  return candidates.toSorted((a, b) => rankOf(a) - rankOf(b)).flatMap((nodeId) => targetOf(view, nodeId));
}

function targetOf({ layout }: ClusterView, nodeId: NodeId): readonly PeerTarget[] {
  const member = memberById(layout, nodeId);
  return member === undefined ? [] : [{ nodeId, advertise: member.advertise }];
}

/** Reads the whole body and checks its digest with the last piece. */
class CheckedReader implements BodyReader {
  readonly #stream: BodyStream;
  readonly #body: RecordBody;
  readonly #digest: Hash = createHash('sha256');
  #leftBytes: number;

  constructor(stream: BodyStream, body: RecordBody) {
    this.#stream = stream;
    this.#body = body;
    this.#leftBytes = body.size;
  }

  async next(): Promise<Buffer | null> {
    const piece = await this.#stream.next();
    if (piece === null) return null;
    this.#digest.update(piece);
    this.#leftBytes -= piece.length;
    if (this.#leftBytes === 0 && this.#digest.digest('hex') !== this.#body.sha256) {
      throw new DhtError('DHT_ERR_DATA_DAMAGED', 'the stored bytes do not have the digest of the object');
    }
    return piece;
  }

  cancel(): void {
    this.#stream.cancel();
  }
}
