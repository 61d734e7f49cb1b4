import type { Event, Model } from './linearizability.ts'

/** What a client asks of the object that has one name. Tokens are different for every write. */
export type ObjectCall =
  | { readonly kind: 'create'; readonly token: string }
  /** `expected` is the token that the client saw with the version that it names. */
  | { readonly kind: 'update'; readonly expected: string; readonly token: string }
  | { readonly kind: 'remove' }
  | { readonly kind: 'read' }

/** What it was told. */
export type ObjectAnswer =
  | { readonly kind: 'done' }
  | { readonly kind: 'exists' }
  | { readonly kind: 'absent' }
  /** Another write came in between. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'value'; readonly token: string }
  /** Nobody knows whether it took effect. */
  | { readonly kind: 'unknown' }

export interface ObjectOperation {
  readonly call: ObjectCall
  readonly answer: ObjectAnswer
}

/** The token of the object with one name; undefined: there is none. */
type State = string | undefined

const effect = (state: State, call: ObjectCall): { state: State; answer: ObjectAnswer } => {
  switch (call.kind) {
    case 'create':
      return state === undefined
        ? { state: call.token, answer: { kind: 'done' } }
        : { state, answer: { kind: 'exists' } }
    case 'update':
      if (state === undefined) return { state, answer: { kind: 'absent' } }
      return state === call.expected
        ? { state: call.token, answer: { kind: 'done' } }
        : { state, answer: { kind: 'conflict' } }
    case 'remove':
      return { state: undefined, answer: { kind: state === undefined ? 'absent' : 'done' } }
    case 'read':
      return {
        state,
        answer: state === undefined ? { kind: 'absent' } : { kind: 'value', token: state },
      }
    default:
      return call satisfies never
  }
}

const sameAnswer = (a: ObjectAnswer, b: ObjectAnswer): boolean =>
  a.kind === b.kind && (a.kind !== 'value' || b.kind !== 'value' || a.token === b.token)

/** An object by its name, as the control API changes it: create once, compare and set, remove. */
export const objectModel: Model<State, ObjectOperation> = {
  initial: undefined,
  step(state, { call, answer }) {
    const { state: after, answer: right } = effect(state, call)
    return answer.kind === 'unknown' || sameAnswer(answer, right) ? { state: after } : undefined
  },
  key: (state) => state ?? '',
}

/**
 * The same history with one name for all tokens of unknown outcome that nobody ever saw: whichever of them took effect, nobody
 * can tell, and the check need not try each.
 */
export function withoutUnseen(
  history: readonly Event<ObjectOperation>[],
): Event<ObjectOperation>[] {
  const seen = new Set(
    history.flatMap(({ operation: { call, answer } }) => [
      ...(call.kind === 'update' ? [call.expected] : []),
      ...(answer.kind === 'value' ? [answer.token] : []),
    ]),
  )
  return history.map((event) => {
    const { call, answer } = event.operation
    if (answer.kind !== 'unknown' || !('token' in call) || seen.has(call.token)) return event
    return { ...event, operation: { call: { ...call, token: 'unseen' }, answer } }
  })
}
