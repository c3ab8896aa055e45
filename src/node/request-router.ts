/**
 * Which part of the node answers which message: ring messages go to the membership machine, register messages to the
 * replica, copies to the copy source, tombstones to theirs. A closed switch, so that a new kind of message can't be forgotten.
 */
import { assertNever } from '../domain/assert.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { Epoch } from '../domain/ids.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import type { MissedReply, MissedRequest, PeerReply, PeerRequest, PositionCheckReply, PositionCheckRequest, ReplyOf, RequestKind, RequestOf } from '../protocol/message.ts';
import type { RequestHandler } from '../peer/peer-caller.ts';
import type { CopySource } from '../repair/copy-source.ts';
import type { DigestSource } from '../repair/digest-source.ts';
import type { TombstoneSource } from '../repair/tombstone-source.ts';
import type { ListSource } from '../replication/list-source.ts';
import type { BodyStaging } from '../replication/body-staging.ts';
import type { Replica } from '../replication/replica.ts';
import type { MembershipDriver } from './membership-driver.ts';

export interface RequestRouterDeps {
  readonly membership: MembershipDriver;
  readonly replica: Replica;
  readonly staging: BodyStaging;
  readonly lists: ListSource;
  readonly copies: CopySource;
  readonly digests: DigestSource;
  readonly missed: (request: MissedRequest) => MissedReply;
  readonly tombstones: TombstoneSource;
  readonly positionCheck: (request: PositionCheckRequest) => PositionCheckReply;
}

export class RequestRouter implements RequestHandler {
  readonly #deps: RequestRouterDeps;

  constructor(deps: RequestRouterDeps) {
    this.#deps = deps;
  }

  // The kind of the reply follows from the kind of the request, which a switch can't tell the compiler.
  handle<K extends RequestKind>(from: PeerIdentity, request: RequestOf<K> & { readonly kind: K }, deadlineMs: number, epoch: Epoch): Promise<ReplyOf<K>> {
    return this.#answer(from, request, deadlineMs, epoch) as Promise<ReplyOf<K>>;
  }

  /** A store that failed ends the node; until then its callers are told so. Anything else that throws is a bug. */
  async #answer(from: PeerIdentity, request: PeerRequest, deadlineMs: number, epoch: Epoch): Promise<PeerReply> {
    try {
      return await this.#dispatch(from, request, deadlineMs, epoch);
    } catch (error) {
      if (!(error instanceof DhtError)) throw error;
      return { kind: 'fault', code: error.code, detail: error.message };
    }
  }

  #dispatch(from: PeerIdentity, request: PeerRequest, deadlineMs: number, epoch: Epoch): PeerReply | Promise<PeerReply> {
    const { membership, replica, staging, lists, copies, digests, missed, tombstones, positionCheck } = this.#deps;
    switch (request.kind) {
      case 'ping':
      case 'probe':
      case 'who-are-you':
      case 'find-successor':
      case 'join':
      case 'leave':
      case 'notify':
      case 'layout-fetch':
      case 'layout-announce':
      case 'layout-prepare':
      case 'layout-accept':
      case 'recover-prepare':
      case 'recover-adopt':
      case 'caught':
        return membership.handle(from, request, epoch);
      case 'position-check':
        return positionCheck(request);
      case 'prepare':
        return replica.prepare(request, deadlineMs);
      case 'accept':
        return replica.accept(request, deadlineMs);
      case 'read':
        return replica.read(request, deadlineMs);
      case 'body-fetch':
        return replica.bodyFetch(request);
      case 'stage':
        return staging.stage(request);
      case 'stage-end':
        return staging.stageEnd(request);
      case 'stage-abort':
        return staging.stageAbort(request);
      case 'inspect':
        return replica.inspect(request, deadlineMs);
      case 'list':
        return lists.list(request);
      case 'page':
        return copies.page(request);
      case 'records':
        return copies.records(request);
      case 'receipts':
        return copies.receipts(request);
      case 'digests':
        return digests.digests(from.nodeId, request);
      case 'missed':
        return missed(request);
      case 'tombstones':
        return tombstones.tombstones(request);
      case 'erase':
        return tombstones.erase(request);
      default:
        return assertNever(request);
    }
  }
}
