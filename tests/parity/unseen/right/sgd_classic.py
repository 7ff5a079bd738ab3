from tinycnn_numpy import SGD as Base


class SGD(Base):
    def step(self):
        for i, p in enumerate(self.parameters):
            g = p.grad
            if self.weight_decay != 0:
                g = g + self.weight_decay * p.data
            if self.momentum == 0:
                self.momentum_buffer[i][...] = g
                p.data -= self.lr * g
                continue
            self.momentum_buffer[i][...] = self.momentum * self.momentum_buffer[i] + g
            if self.nesterov:
                g = g + self.momentum * self.momentum_buffer[i]
            else:
                g = self.momentum_buffer[i]
            p.data -= self.lr * g
        self.steps += 1
