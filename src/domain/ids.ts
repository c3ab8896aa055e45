/**
 * Identities. All are random or hashed, fixed-width lower-case hex, so that they compare as strings and are 16 bytes
 * on the wire; the brand keeps one kind from being passed as another.
 *
 * - NodeId: 128 random bits created with an empty disk. An empty disk means a new NodeId, so a wiped node never
 *   votes with promises it forgot.
 * - ClusterId: the NodeId of the founder. - BodyId: names an immutable body. - OpId: names one client operation.
 */
declare const brand: unique symbol;
export type Brand<T, B extends string> = T & { readonly [brand]: B };

export type NodeId = Brand<string, 'NodeId'>;
export type ClusterId = Brand<string, 'ClusterId'>;
export type BodyId = Brand<string, 'BodyId'>;
export type OpId = Brand<string, 'OpId'>;

/** Number of a layout; grows by one with each decision. 0: no layout yet. */
export type Epoch = number;

/** Hex digits of every id here: 16 bytes. */
export const ID_HEX_LENGTH = 32;

const ID = /^[0-9a-f]{32}$/;

/** Whether the text has the shape of an id: 32 lower-case hex digits. */
export function isIdText(text: string): boolean {
  return ID.test(text);
}
