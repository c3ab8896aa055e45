/** Arbitrary values of every kind of peer message, for tests of the codec. */
import fc from 'fast-check';
import { SPACE_LEVELS } from '../../../src/domain/space-level.ts';
import type { Ballot } from '../../../src/domain/ballot.ts';
import { ERRORS, type ErrorCode } from '../../../src/domain/error-catalogue.ts';
import type { BodyId, ClusterId, NodeId, OpId } from '../../../src/domain/ids.ts';
import { EPOCH_MAX, OBJECT_BYTES_MAX } from '../../../src/domain/limits.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import type { ObjectKey, Position } from '../../../src/domain/ring-position.ts';
import type { ObjectRecord } from '../../../src/domain/stored-object.ts';
import type { Hello } from '../../../src/protocol/hello.ts';
import type { PeerMessage, TransferredRecord } from '../../../src/protocol/message.ts';

const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b).toString('hex'));
const nodeId = hex(16).map((id) => id as NodeId);
const clusterId = hex(16).map((id) => id as ClusterId);
const bodyId = hex(16).map((id) => id as BodyId);
const sha256 = hex(32);
const key = hex(20).map((k) => k as ObjectKey);
const epoch = fc.nat({ max: EPOCH_MAX });
const u64 = fc.maxSafeNat();
const count = fc.nat({ max: 2 ** 32 - 1 });
const u16 = fc.nat({ max: 65_535 });
const position = fc.nat({ max: 2 ** 48 - 1 }).map((p) => p as Position);
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const body = fc.uint8Array({ maxLength: 600 }).map((b) => Buffer.from(b));
const address = fc.tuple(fc.domain(), fc.integer({ min: 1, max: 65_535 })).map(([host, port]) => `${host.slice(0, 200)}:${port}`);
const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 5 });

export const ballot: fc.Arbitrary<Ballot> = fc.record({ epoch, hlc: fc.maxSafeNat(), nodeId });
const node = fc.record({ nodeId, name: address, advertise: address });
const boot = fc.record({ boot: u64, position: u64 });
const health = fc.record({ awareness: fc.nat({ max: 8 }), loopDelayMs: fc.double({ min: 0, noNaN: true }), diskUsed: fc.double({ min: 0, max: 1, noNaN: true }), space: fc.constantFrom(...SPACE_LEVELS), isDiskSlow: fc.boolean() });
const gossip = list(fc.record({
  nodeId, name: address, advertise: address, incarnation: u64,
  state: fc.constantFrom('alive' as const, 'restarting' as const, 'suspect' as const, 'down' as const, 'left' as const), accusers: list(nodeId), downForMs: u64,
}));
const ops = list(fc.record({ opId: hex(16).map((id) => id as OpId), version: ballot, kind: fc.constantFrom('created' as const, 'replaced' as const, 'deleted' as const) }));

const record: fc.Arbitrary<ObjectRecord> = fc.oneof(
  fc.record({ kind: fc.constant('tombstone' as const), version: ballot, lineageFloor: ballot, ops }),
  fc.record({
    kind: fc.constant('object' as const), version: ballot, lineageFloor: ballot, ops,
    body: fc.record({ bodyId, size: fc.nat({ max: OBJECT_BYTES_MAX }), sha256, where: fc.constantFrom('inline' as const, 'file' as const), chunkCrcs: list(count) }),
    contentType: text, meta: list(fc.tuple(text, text)), createdMs: u64,
  }),
);
const accepted = fc.record({ ballot, record });

const layout: fc.Arbitrary<Layout> = fc.uniqueArray(nodeId, { minLength: 1, maxLength: 4 }).chain((ids) => {
  const someIds = fc.subarray(ids);
  return fc.record({
    clusterId, epoch, keyBits: fc.constant(48), replicas: u16, tokensPerNode: u16, candidatesPerToken: u16,
    members: fc.tuple(...ids.map((id) => fc.record({
      nodeId: fc.constant(id), name: address, advertise: address, tokens: fc.array(position, { minLength: 1, maxLength: 3 }), zone: text,
      weight: fc.double({ min: 0.1, max: 10, noNaN: true }), state: fc.constantFrom('joining' as const, 'member' as const, 'leaving' as const, 'lost' as const),
    }))),
    voters: someIds, phase: fc.constantFrom('stable' as const, 'moving' as const),
    arcs: list(fc.record({ end: position, old: someIds, new: someIds, since: someIds.chain((some) => fc.constant(new Map(some.map((id, i) => [id, i])))) })),
    recoveries: list(fc.record({ epoch, fromEpoch: epoch, atMs: u64, by: address, lost: list(address) })),
  });
});

const records: fc.Arbitrary<PeerMessage> = fc.tuple(epoch, count, list(fc.tuple(key, name, ballot, record, body))).map(([e, answered, items]) => {
  let bodyOffset = 0;
  const transferred = items.map(([k, n, b, r, bytes]): TransferredRecord => {
    const item = { key: k, name: n, ballot: b, record: r, bodyOffset, bodyLength: bytes.length };
    bodyOffset += bytes.length;
    return item;
  });
  return { kind: 'records-reply', epoch: e, records: transferred, answered, body: Buffer.concat(items.map(([, , , , bytes]) => bytes)) };
});

const k = <K extends string>(kind: K) => fc.constant(kind);
const orNull = <T>(item: fc.Arbitrary<T>) => fc.option(item, { nil: null });

export const messageByKind: { readonly [K in PeerMessage['kind']]: fc.Arbitrary<PeerMessage> } = {
  'ping': fc.record({ kind: k('ping'), from: node, boot, health, gossip }),
  'ping-reply': fc.record({ kind: k('ping-reply'), from: node, boot, health, predecessor: orNull(node), successors: list(node), gossip }),
  'probe': fc.record({ kind: k('probe'), target: node }),
  'probe-reply': fc.record({ kind: k('probe-reply'), isAnswered: fc.boolean() }),
  'who-are-you': fc.record({ kind: k('who-are-you'), from: node }),
  'who-are-you-reply': fc.record({
    kind: k('who-are-you-reply'), from: node, state: fc.constantFrom('empty' as const, 'member' as const), clusterId: orNull(clusterId), promisedFounder: orNull(nodeId),
    zone: text, weight: fc.double({ min: 0.1, max: 10, noNaN: true }), keyBits: fc.integer({ min: 8, max: 48 }),
  }),
  'find-successor': fc.record({ kind: k('find-successor'), position, hops: u16 }),
  'find-successor-reply': fc.record({ kind: k('find-successor-reply'), node, hops: u16 }),
  'join': fc.record({ kind: k('join'), node, zone: text, weight: fc.double({ min: 0.1, max: 10, noNaN: true }), keyBits: fc.integer({ min: 8, max: 48 }) }),
  'join-reply': fc.record({ kind: k('join-reply'), state: fc.constantFrom('accepted' as const, 'member' as const, 'refused' as const), detail: text }),
  'leave': fc.record({ kind: k('leave'), nodeId }),
  'leave-reply': fc.record({ kind: k('leave-reply'), state: fc.constantFrom('accepted' as const, 'gone' as const, 'refused' as const) }),
  'notify': fc.record({ kind: k('notify'), leaver: node, successor: node }),
  'notify-reply': fc.record({ kind: k('notify-reply') }),
  'layout-fetch': fc.record({ kind: k('layout-fetch') }),
  'layout-reply': fc.record({ kind: k('layout-reply'), layout: orNull(layout) }),
  'layout-announce': fc.record({ kind: k('layout-announce'), layout }),
  'layout-prepare': fc.record({ kind: k('layout-prepare'), layout, ballot }),
  'layout-prepare-reply': fc.record({
    kind: k('layout-prepare-reply'), state: fc.constantFrom('promised' as const, 'refused' as const), promised: ballot, accepted: orNull(fc.record({ ballot, value: layout })),
  }),
  'layout-accept': fc.record({ kind: k('layout-accept'), layout, ballot, value: layout }),
  'layout-accept-reply': fc.record({ kind: k('layout-accept-reply'), state: fc.constantFrom('accepted' as const, 'refused' as const), promised: ballot }),
  'recover-prepare': fc.record({ kind: k('recover-prepare'), layout, ballot, lost: list(nodeId) }),
  'recover-prepare-reply': fc.record({ kind: k('recover-prepare-reply'), state: fc.constantFrom('promised' as const, 'refused' as const), isHalfDone: fc.boolean(), detail: text }),
  'recover-adopt': fc.record({ kind: k('recover-adopt'), layout, ballot }),
  'recover-adopt-reply': fc.record({ kind: k('recover-adopt-reply'), state: fc.constantFrom('adopted' as const, 'refused' as const), detail: text }),
  'caught': fc.record({ kind: k('caught'), nodeId, epoch, arcEnds: list(position) }),
  'caught-reply': fc.record({ kind: k('caught-reply') }),
  'position-check': fc.record({ kind: k('position-check'), nodeId, boot }),
  'position-check-reply': fc.record({ kind: k('position-check-reply'), isConfirmed: fc.boolean(), remembered: boot }),
  'prepare': fc.oneof(
    fc.record({ kind: k('prepare'), epoch, name, ballot, staged: fc.record({ bodyId, sha256 }), body }),
    fc.record({ kind: k('prepare'), epoch, name, ballot, staged: fc.constant(null), body: fc.constant(null) }),
  ),
  'prepare-reply': fc.record({
    kind: k('prepare-reply'), epoch, state: fc.constantFrom('promised' as const, 'refused' as const), promised: ballot, accepted: orNull(accepted), floor: ballot, isStaged: fc.boolean(),
  }),
  'accept': fc.record({ kind: k('accept'), epoch, name, ballot, record, holders: list(nodeId) }),
  'accept-reply': fc.oneof(
    fc.record({ kind: k('accept-reply'), epoch, state: fc.constantFrom('accepted' as const, 'refused' as const, 'body-missing' as const), pulledBytes: fc.constant(0), promised: ballot }),
    fc.record({ kind: k('accept-reply'), epoch, state: fc.constant('body-pulling' as const), pulledBytes: u64, promised: ballot }),
  ),
  'read': fc.record({ kind: k('read'), epoch, name, wantBody: fc.boolean() }),
  'read-reply': fc.record({ kind: k('read-reply'), epoch, promised: ballot, accepted: orNull(accepted), floor: ballot, body: orNull(body) }),
  'stale-epoch': fc.record({ kind: k('stale-epoch'), epoch, layout: orNull(layout) }),
  'body-fetch': fc.record({ kind: k('body-fetch'), bodyId, name, offset: u64, length: count }),
  'body-fetch-reply': fc.record({ kind: k('body-fetch-reply'), isHeld: fc.boolean(), size: u64, body: orNull(body) }),
  'page': fc.record({ kind: k('page'), epoch, from: position, to: position, after: orNull(key), limit: count }),
  'page-reply': fc.record({ kind: k('page-reply'), epoch, entries: list(fc.record({ key, promised: ballot, accepted: ballot, size: u64 })), isLast: fc.boolean(), floor: ballot }),
  'records': fc.record({ kind: k('records'), epoch, keys: list(key) }),
  'records-reply': records,
  'receipts': fc.record({ kind: k('receipts'), epoch, entries: list(fc.record({ key, accepted: ballot })) }),
  'receipts-reply': fc.record({ kind: k('receipts-reply'), epoch, states: list(fc.constantFrom('lacking' as const, 'held' as const, 'erased' as const)) }),
  'tombstones': fc.record({ kind: k('tombstones'), epoch, entries: list(fc.record({ key, ballot })) }),
  'tombstones-reply': fc.record({ kind: k('tombstones-reply'), epoch, isAlike: list(fc.boolean()) }),
  'erase': fc.record({ kind: k('erase'), epoch, entries: list(fc.record({ key, ballot })) }),
  'erase-reply': fc.record({ kind: k('erase-reply'), epoch, erased: count }),
  'inspect': fc.record({ kind: k('inspect'), name }),
  'inspect-reply': fc.record({ kind: k('inspect-reply'), epoch, promised: ballot, accepted: orNull(accepted), sha256: orNull(sha256), isDurable: fc.boolean() }),
  'stage': fc.record({ kind: k('stage'), name, bodyId, offset: u64, body }),
  'stage-reply': fc.record({ kind: k('stage-reply'), state: fc.constantFrom('ok' as const, 'out-of-order' as const, 'refused' as const, 'full' as const), length: u64 }),
  'stage-end': fc.record({ kind: k('stage-end'), name, bodyId, size: u64, sha256 }),
  'stage-end-reply': fc.record({ kind: k('stage-end-reply'), state: fc.constantFrom('held' as const, 'mismatch' as const, 'refused' as const) }),
  'stage-abort': fc.record({ kind: k('stage-abort'), name, bodyId }),
  'stage-abort-reply': fc.record({ kind: k('stage-abort-reply') }),
  'list': fc.record({
    kind: k('list'), epoch, prefix: text, from: orNull(fc.record({ name, isInclusive: fc.boolean() })), limit: count, grouping: orNull(fc.record({ delimiter: text, namesMax: count })),
  }),
  'list-reply': fc.record({
    kind: k('list-reply'), epoch, isLast: fc.boolean(),
    entries: list(fc.record({ name, accepted: ballot, version: ballot, recordKind: fc.constantFrom('object' as const, 'tombstone' as const), size: u64 })),
  }),
  'digests': fc.record({ kind: k('digests'), epoch, root: hex(8), pages: orNull(list(fc.nat({ max: 255 }))) }),
  'digests-reply': fc.record({ kind: k('digests-reply'), epoch, isEqual: fc.boolean(), body: orNull(body) }),
  'missed': fc.record({ kind: k('missed'), cause: fc.constantFrom('write' as const, 'read' as const), entries: list(fc.record({ key, accepted: ballot })) }),
  'missed-reply': fc.record({ kind: k('missed-reply'), taken: count }),
  'fault': fc.record({ kind: k('fault'), code: fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[])), detail: text }),
};

export const anyMessage: fc.Arbitrary<PeerMessage> = fc.oneof(...Object.values(messageByKind));

export const anyEnvelope = fc.record({ reqId: u64, epoch, deadlineMs: count });

export const anyHello: fc.Arbitrary<Hello> = fc.record({
  versionMin: u16, versionMax: u16, features: count, clusterId: orNull(clusterId),
  identity: fc.record({ nodeId, name: address, advertise: address, incarnation: u64 }), position: boot, epoch,
  channel: fc.constantFrom('control' as const, 'data' as const, 'body' as const),
});
