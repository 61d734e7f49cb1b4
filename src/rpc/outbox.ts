import assert from 'node:assert/strict'
import { CHUNK_BYTES_MAX, encodeFrame, type FrameKind } from './wire.ts'

interface OutgoingMessage {
  kind: FrameKind
  id: number
  bytes: Uint8Array
  /** Of `bytes`, already in frames. */
  sent: number
}

/** Told when bytes of a channel went into a frame: what is left, and whether all of its messages are out. */
export type DrainListener = (queuedBytes: number, isEmpty: boolean) => void

interface Channel {
  messages: OutgoingMessage[]
  queuedBytes: number
  /** Bytes that the receiver of a stream still takes; Infinity for what has no window. */
  credit: number
  isStream: boolean
  inRing: boolean
  onDrain: DrainListener | undefined
}

/** The channel of all notifies: they stay in order among themselves. */
export const NOTIFY_CHANNEL = 0

/**
 * What waits to be sent on one connection. Pure: `next` says which frame goes out now. Control frames go first. Then calls
 * (a channel per request or answer, one for all notifies) and streams take turns by chunks, and within each of the two so do
 * the channels: neither a large message nor any number of busy streams holds a heartbeat up. A stream without credit is skipped.
 */
export class Outbox {
  readonly #control: Buffer[] = []
  readonly #channels = new Map<number, Channel>()
  readonly #calls: number[] = []
  readonly #streams: number[] = []
  #streamsTurn = false
  #queuedBytes = 0

  /** Bytes of all messages that are not in frames yet, streams included. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Control frames that wait; they exist only while the socket takes nothing. */
  get controlCount(): number {
    return this.#control.length
  }

  /** Whether there may be something to send: a stream without credit counts until it was asked. */
  get isWaiting(): boolean {
    return this.#control.length + this.#calls.length + this.#streams.length > 0
  }

  /** A small frame that goes before everything else. */
  pushControl(kind: FrameKind, id: number, payload: Uint8Array = EMPTY): void {
    this.#control.push(encodeFrame({ kind, more: false, id }, payload))
  }

  /** A message at the end of its channel's queue. An empty one is one empty frame. */
  push(channelId: number, kind: FrameKind, id: number, bytes: Uint8Array): void {
    const channel = this.#channel(channelId)
    channel.messages.push({ kind, id, bytes, sent: 0 })
    channel.queuedBytes += bytes.length
    this.#queuedBytes += bytes.length
    this.#enterRing(channelId, channel)
  }

  /** Makes a channel a stream's, with the window that its receiver gives. */
  openWindow(channelId: number, credit: number, onDrain: DrainListener): void {
    const channel = this.#channel(channelId)
    channel.credit = credit
    channel.isStream = true
    channel.onDrain = onDrain
  }

  addCredit(channelId: number, bytes: number): void {
    const channel = this.#channels.get(channelId)
    if (!channel) return
    channel.credit += bytes
    if (channel.messages.length > 0) this.#enterRing(channelId, channel)
  }

  queuedBytesOf(channelId: number): number {
    return this.#channels.get(channelId)?.queuedBytes ?? 0
  }

  /** Forgets a channel and what it had to send. */
  drop(channelId: number): void {
    const channel = this.#channels.get(channelId)
    if (!channel) return
    this.#queuedBytes -= channel.queuedBytes
    this.#channels.delete(channelId)
  }

  /** The next frame to send, or undefined when nothing may be sent. */
  next(): Buffer | undefined {
    const control = this.#control.shift()
    if (control) return control
    for (;;) {
      const channelId = this.#takeTurn()
      if (channelId === undefined) return undefined
      const channel = this.#channels.get(channelId)
      if (!channel) continue
      channel.inRing = false
      const frame = this.#takeChunk(channelId, channel)
      if (frame) return frame
    }
  }

  #takeTurn(): number | undefined {
    this.#streamsTurn = !this.#streamsTurn
    return this.#streamsTurn
      ? (this.#streams.shift() ?? this.#calls.shift())
      : (this.#calls.shift() ?? this.#streams.shift())
  }

  #takeChunk(channelId: number, channel: Channel): Buffer | undefined {
    const message = channel.messages[0]
    if (!message) return undefined
    const left = message.bytes.length - message.sent
    // The window is for data alone: an opening call is bounded by the size of a message.
    const isCredited = message.kind === 'data'
    const size = Math.min(left, CHUNK_BYTES_MAX, isCredited ? channel.credit : left)
    if (size === 0 && left > 0) return undefined
    const more = size < left
    const chunk = message.bytes.subarray(message.sent, message.sent + size)
    const frame = encodeFrame({ kind: message.kind, more, id: message.id }, chunk)
    message.sent += size
    if (isCredited) channel.credit -= size
    channel.queuedBytes -= size
    this.#queuedBytes -= size
    assert(channel.queuedBytes >= 0)
    if (!more) channel.messages.shift()
    if (channel.messages.length > 0) this.#enterRing(channelId, channel)
    else if (!channel.isStream) this.#channels.delete(channelId)
    channel.onDrain?.(channel.queuedBytes, channel.messages.length === 0)
    return frame
  }

  #channel(channelId: number): Channel {
    const existing = this.#channels.get(channelId)
    if (existing) return existing
    const channel: Channel = {
      messages: [],
      queuedBytes: 0,
      credit: Number.POSITIVE_INFINITY,
      isStream: false,
      inRing: false,
      onDrain: undefined,
    }
    this.#channels.set(channelId, channel)
    return channel
  }

  #enterRing(channelId: number, channel: Channel): void {
    if (channel.inRing) return
    channel.inRing = true
    const ring = channel.isStream ? this.#streams : this.#calls
    ring.push(channelId)
  }
}

const EMPTY = new Uint8Array(0)
