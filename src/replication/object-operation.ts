/** Moved to domain/object-operation.ts; import it from there. */
export type * from '../domain/object-operation.ts';
