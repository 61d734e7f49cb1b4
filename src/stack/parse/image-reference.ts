import {
  formatFamiliar,
  imageReferenceProblem,
  isImageId,
  parseImageReference,
} from '../../api/image-reference.ts'

/** Checks that an image can be pulled by this name, or is an id. Thrown: an Error with the reason. */
export const checkImageReference = (image: string): void => {
  if (image === '') throw new Error('no image specified')
  const problem = isImageId(image) ? undefined : imageReferenceProblem(image)
  if (problem !== undefined) throw new Error(problem)
}

/** The image as the Engine shows it; an id stays. The reference must have passed `checkImageReference`. */
export const familiarImage = (image: string): string => {
  const reference = parseImageReference(image)
  return reference === undefined ? image : formatFamiliar(reference)
}
