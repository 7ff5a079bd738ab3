import numpy as np


class ConvolutionLayer:
    def __init__(self, numFilters, filterSize, inputDepth, strideLength=1, zeroPadding=0):
        self.numFilters, self.filterSize = numFilters, filterSize
        self.strideLength, self.zeroPadding = strideLength, zeroPadding
        self.filterWeights = np.random.randn(numFilters, inputDepth, filterSize, filterSize) * 0.1
        self.filterBiases = np.zeros((numFilters, 1))

    def forwardPass(self, inputs):
        p, s, k = self.zeroPadding, self.strideLength, self.filterSize
        self.inputs = np.pad(inputs, ((0, 0), (0, 0), (p, p), (p, p)))
        batch, depth, height, width = self.inputs.shape
        outH, outW = (height - k) // s + 1, (width - k) // s + 1
        outputs = np.zeros((batch, self.numFilters, outH, outW))
        for f in range(self.numFilters):
            for r in range(outH):
                for c in range(outW):
                    area = self.inputs[:, :, r * s : r * s + k, c * s : c * s + k]
                    outputs[:, f, r, c] = (area * self.filterWeights[f]).sum(axis=(1, 2, 3)) + self.filterBiases[f]
        return outputs

    def backwardPass(self, gradient, learningRate):
        p, s, k = self.zeroPadding, self.strideLength, self.filterSize
        inputGradient = np.zeros_like(self.inputs)
        weightGradient = np.zeros_like(self.filterWeights)
        for f in range(self.numFilters):
            for r in range(gradient.shape[2]):
                for c in range(gradient.shape[3]):
                    g = gradient[:, f, r, c][:, None, None, None]
                    area = self.inputs[:, :, r * s : r * s + k, c * s : c * s + k]
                    weightGradient[f] += (area * g).sum(axis=0)
                    inputGradient[:, :, r * s : r * s + k, c * s : c * s + k] += self.filterWeights[f] * g
        self.filterWeights -= learningRate * weightGradient
        self.filterBiases -= learningRate * gradient.sum(axis=(0, 2, 3))[:, None]
        h, w = inputGradient.shape[2:]
        return inputGradient[:, :, p : h - p, p : w - p]


class MaxPoolLayer:
    def __init__(self, poolSize):
        self.poolSize = poolSize

    def forwardPass(self, inputs):
        k = self.poolSize
        self.inputs = inputs
        batch, depth, height, width = inputs.shape
        outputs = np.full((batch, depth, height // k, width // k), 0.0)
        for r in range(height // k):
            for c in range(width // k):
                best = 0.0
                for dr in range(k):
                    for dc in range(k):
                        best = np.maximum(best, inputs[:, :, r * k + dr, c * k + dc])
                outputs[:, :, r, c] = best
        return outputs

    def backwardPass(self, gradient, learningRate):
        k = self.poolSize
        result = np.zeros_like(self.inputs)
        for n, d, r, c in np.ndindex(*gradient.shape):
            area = self.inputs[n, d, r * k : r * k + k, c * k : c * k + k]
            row, col = np.unravel_index(np.argmax(area), area.shape)
            result[n, d, r * k + row, c * k + col] = gradient[n, d, r, c]
        return result


class DenseLayer:
    def __init__(self, inputSize, outputSize):
        self.weights = np.random.randn(inputSize, outputSize) * 0.1
        self.biases = np.zeros((1, outputSize))

    def forwardPass(self, inputs):
        self.inputs = inputs
        return inputs @ self.weights + self.biases

    def backwardPass(self, gradient, learningRate):
        result = gradient @ self.weights.T
        self.weights -= learningRate * self.inputs.T @ gradient
        self.biases -= learningRate * gradient.sum(axis=0, keepdims=True)
        return result
