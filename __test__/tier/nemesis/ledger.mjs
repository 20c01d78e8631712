import fs from 'node:fs'
import path from 'node:path'
import { WRITERS } from './shapes.mjs'

const CELL = 4

/**
 * What is true and what was acknowledged, for all processes: files in memory of one number for each key and writer.
 * A number is written by its writer alone, only grows and is 4 aligned bytes, so that no reader sees a torn or a lower
 * one; a row need not be read at one moment, for each of its numbers stands for itself. A write is seen by every read
 * that begins after it has returned, which is the only order that the oracle relies on: no clock is shared.
 */
export class Ledger {
  #truth
  #acknowledged
  #cell = new Uint32Array(1)

  /** @param {string} folder */
  constructor(folder) {
    this.#truth = fs.openSync(path.join(folder, 'truth'), 'r+')
    this.#acknowledged = fs.openSync(path.join(folder, 'acknowledged'), 'r+')
  }

  /** @param {string} folder @param {number} keys */
  static create(folder, keys) {
    for (const name of ['truth', 'acknowledged']) {
      fs.writeFileSync(path.join(folder, name), Buffer.alloc(keys * WRITERS * CELL))
    }
  }

  /** The number of each writer's last change of a key. */
  truth(/** @type {number} */ key) {
    return this.#row(this.#truth, key)
  }

  /** The number of each writer's last change of a key that was acknowledged. */
  acknowledged(/** @type {number} */ key) {
    return this.#row(this.#acknowledged, key)
  }

  #row(/** @type {number} */ file, /** @type {number} */ key) {
    const row = new Uint32Array(WRITERS)
    fs.readSync(file, row, 0, row.byteLength, key * WRITERS * CELL)
    return row
  }

  /** Reads all that was acknowledged. @param {Uint32Array} into */
  allAcknowledged(into) {
    fs.readSync(this.#acknowledged, into, 0, into.byteLength, 0)
  }

  /** @param {number} key @param {number} writer @param {number} number */
  setTruth(key, writer, number) {
    this.#set(this.#truth, key, writer, number)
  }

  /** @param {number} key @param {number} writer @param {number} number */
  setAcknowledged(key, writer, number) {
    this.#set(this.#acknowledged, key, writer, number)
  }

  #set(/** @type {number} */ file, /** @type {number} */ key, /** @type {number} */ writer, number = 0) {
    this.#cell[0] = number
    fs.writeSync(file, this.#cell, 0, CELL, (key * WRITERS + writer) * CELL)
  }

  close() {
    fs.closeSync(this.#truth)
    fs.closeSync(this.#acknowledged)
  }
}
