import type { Path } from './value.ts'

/** Where something stands: the file as the user named it, and the line, which counts from 1; undefined: the file as a whole. */
export interface Place {
  file: string
  line?: number
}

/** A place as messages begin: `stack.yml:12`. */
export const placeText = ({ file, line }: Place): string =>
  line === undefined ? file : `${file}:${line}`

/** Where the keys and items of a configuration stand, also of one that was put together from several files. */
export class Locations {
  readonly #whole: Place
  readonly #places: Map<string, Place>

  /** `file` stands for what has no place of its own; `lines` are those of its keys and items, by path. */
  constructor(file: string, lines: Iterable<readonly [Path, number]> = []) {
    this.#whole = { file }
    this.#places = new Map([...lines].map(([path, line]) => [keyOf(path), { file, line }]))
  }

  /** The place of `path`, or of the nearest thing around it that has one. */
  of(path: Path): Place {
    for (let length = path.length; length > 0; length--) {
      const place = this.#places.get(keyOf(path.slice(0, length)))
      if (place !== undefined) return place
    }
    return this.#whole
  }

  /** These, with those of a later file over them. Items of lists are left out: merging moves them. */
  over(later: Locations): Locations {
    const merged = new Locations(`${this.#whole.file}, ${later.#whole.file}`)
    for (const places of [this.#places, later.#places]) {
      for (const [key, place] of places) {
        if (!/\0\d+(?:\0|$)/.test(key)) merged.#places.set(key, place)
      }
    }
    return merged
  }

  /** These, with what `others` say of `from` as places of `to` where `to` has none. */
  extend(others: Locations, from: Path, to: Path): Locations {
    const extended = new Locations(this.#whole.file)
    const [source, target] = [keyOf(from), keyOf(to)]
    for (const [key, place] of others.#places) {
      const isInside = key.startsWith(`${source}\0`)
      if (isInside) extended.#places.set(target + key.slice(source.length), place)
    }
    for (const [key, place] of this.#places) extended.#places.set(key, place)
    return extended
  }
}

const keyOf = (path: Path): string => path.join('\0')
