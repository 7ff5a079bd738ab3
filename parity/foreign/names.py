"""What people call layers, arguments, weights and gradients, each name reduced to its letters."""

import re
from collections.abc import Sequence

_ENTROPY = "crossentropy|xent|kreuzentropie|entropiacruzada|entropiecroisee|entropiaincrociata"
_LOSS = "loss|cost|error|perdida|perda|perte|verlust|fehler|costo|custo|cout|erreur|perdita"
_KINDS = {
    "Conv2D": "conv(olution(al)?)?(2d)?",
    "ReLU": "relu|rectifier|rectifiedlinear(unit)?",
    "MaxPool2D": "max(imum)?pool(ing)?(2d)?",
    "AvgPool2D": "(avg|average|mean)pool(ing)?(2d)?",
    "BatchNorm2D": "(spatial)?(batchnorm(ali[sz](ation|e|er))?|bn)(1d|2d)?",
    "Dropout": "(inverted)?dropout(1d|2d)?",
    "Flatten": "flatten(ing|er)?|flat",
    "Dense": "dense|linear|affine|fc|full(y)?(connected|connect)|innerproduct",
    "CrossEntropyLoss": f"(?=.*({_ENTROPY}))({_ENTROPY}|{_LOSS}|softmax|with|and|from|multi|class|sparse|"
    "categorical|logits|temporal|activation|compute|calc|calculate|get|stable|batch)*"
    f"|(temporal)?softmax(with)?({_LOSS}|(neg(ative)?)?loglikelihood|nll)"
    f"|(neg(ative)?)?loglikelihood(with)?(softmax|cost)|c?ce",
    "SGD": "sgd(momentum|withmomentum|nesterov)?|(stochastic)?gradientdescent|momentum(sgd)?|nesterov(sgd)?",
    "Adam": "adam",
}
_AFFIXES = (
    "layer|activation|sum|mean|optimi[sz]er|loss|cost|function|op|module|my|custom|manual|numpy|np|simple|"
    "naive|fast|im2col|vectori[sz]ed|strides|loop(s)?|basic|student|\\d+x\\d+|\\d+|v\\d+"
)


def _words(table: str) -> dict[str, str]:
    """Of each line `role: word word`, which may go on in the next."""
    return dict(re.findall(r"(\w+): ([^:]*?)(?=\s+\w+:|\s*$)", table))


def bare(name: str) -> str:
    """Letters and digits alone, in lower case: "A_prev" is "aprev"."""
    return re.sub("[^a-z0-9]", "", name.lower())


def kinds_named(name: str) -> tuple[str, ...]:
    """The kinds that a class or function of this name may be of: "Conv3x3" is a Conv2D."""
    words = bare(name)
    stripped = re.sub(f"^({_AFFIXES})+(?=[a-z]{{2}})", "", words)
    forms = {words, stripped, *(re.sub(f"({_AFFIXES})+$", "", form) for form in (words, stripped))}
    found = tuple(kind for kind, pattern in _KINDS.items() if any(re.fullmatch(pattern, f) for f in forms))
    return found or (("MaxPool2D", "AvgPool2D") if {"pool", "pooling", "pool2d", "pooling2d"} & forms else ())


# The parameters of constructors, and the keys of dictionaries that stand for them.
_ARGUMENTS = _words(
    """
    in_channels: inchannels inchannel inputchannels inputchannel cin nin numchannels nchannels channels
        c inc inputdepth indepth inplanes ncprev channelsin inch inputc inputs infeaturemaps nchannel
        numinput
    out_channels: outchannels outchannel outputchannels outputchannel cout nout filters numfilters
        nfilters nfilter filternum filtersnum nf numkernels nkernels kernelnum outputdepth outdepth outc
        outplanes nc channelsout outch numoutput noutput numfilter fn depth features
    kernel_size: kernelsize kernel filtersize filterdim fsize ksize k f size kernelshape filtershape
        fieldsize kerneldim window windowsize windowshape poolsize poolshape poolingsize pooling pool
        kernelwidthheight
    kernel_height: kernelheight kernelh kh fh hh filterheight filterh poolheight poolh windowheight
        sizeh hf
    kernel_width: kernelwidth kernelw kw fw ww filterwidth filterw poolwidth poolw windowwidth sizew wf
    stride: stride stridelength strides s step steps stridesize convstride poolstride
    padding: padding padwidth pad p zeropadding zeropad padsize paddingsize npad
    bias: bias usebias withbias hasbias
    in_features: infeatures inputs inputsize ninputs numinputs inputdim indim nin insize inputfeatures
        fanin din nx nfeatures inp nodesin inputunits inputlen inunits dimin ninput inputnodes
        inputshape
    out_features: outfeatures outputs outputsize nneurons numoutputs outputdim outdim nout outsize units
        neurons outputfeatures fanout dout ny hiddensize nodes nodesout noutputs numneurons outputunits
        outunits dimout noutput outputnodes nunits numunits outputshape m
    input_shape: inputshape inshape inputsize shape imageshape inputdim inputdims
    lr: lr learningrate learnrate alpha eta rate stepsize
    momentum: momentum mu rho mom
    nesterov: nesterov usenesterov
    weight_decay: weightdecay wd l2
    betas: betas
    beta1: beta1 b1 betaone
    beta2: beta2 b2 betatwo
    eps: eps epsilon
    parameters: parameters params layers weights model network
    rng: rng generator randomstate
    activation: activation act activationfunction activationfn nonlinearity
    seed: seed
    name: name
    mode: mode pooltype poolingmode type
    training: training train istraining trainflg trainflag trainmode trainingmode intraining trainphase
        trainingphase
    testing: test testing istest testmode eval evaluate evaluation evalmode iseval inference predict
        inferencemode isinference
    num_features: numfeatures nfeatures features nfeature numchannels channels nchannels channel c dim
        d size ndim nin nout infeatures insize inputsize inputdim units nunits neurons nneurons numneurons
        numfeature featuresize inchannels inc outchannels hiddensize
    old_share: decay decayrate runningdecay movingdecay
    drop: rate p droprate dropoutrate dropprob dropoutprob dropprobability dropoutprobability
        dropoutratio dropratio ratio prob probability pdrop drop dropout pdropout
    keep: keep keepprob keepprobability keeprate keepratio pkeep retain retainprob
    weight: w weight weights kernels filter theta gamma
    bias_array: b biases beta
    """
)
_BY_KIND = _words(
    """
    Conv2D: input_shape in_channels out_channels kernel_size kernel_height kernel_width stride padding
        bias
    MaxPool2D: kernel_size kernel_height kernel_width stride padding input_shape mode
    AvgPool2D: kernel_size kernel_height kernel_width stride padding input_shape mode
    Dense: in_features out_features input_shape bias
    BatchNorm2D: num_features input_shape eps momentum old_share mode testing
    Dropout: keep drop mode testing
    SGD: lr momentum nesterov weight_decay parameters
    Adam: lr betas beta1 beta2 eps weight_decay parameters
    """
)
_SECOND = {
    ("Conv2D", "f"): "out_channels",
    ("Conv2D", "k"): "out_channels",
    ("Conv2D", "depth"): "in_channels",
}
_IN_EVERY = "activation lr rng seed name training weight bias_array"


def argument_named(kind: str, name: str) -> str | None:
    """Which argument a parameter of a constructor is: of a convolution, "F" is the kernel's size."""
    word = bare(name)
    for argument in f"{_BY_KIND.get(kind, '')} {_IN_EVERY}".split():
        if word in _ARGUMENTS[argument].split():
            return argument
    return None


def arguments_named(kind: str, names: Sequence[str]) -> dict[str, str]:
    """The same for all parameters of one constructor. In `(C, F, K)` K is the kernel's size."""
    found = {name: argument for name in names if (argument := argument_named(kind, name))}
    if kind in ("MaxPool2D", "AvgPool2D") and "kernel_size" not in found.values():
        found |= {name: "kernel_size" for name in names if bare(name) == "p"}
    for name, argument in found.items():
        other = _SECOND.get((kind, bare(name)))
        twice = list(found.values()).count(argument) > 1 or "kernel_height" in found.values()
        if other and other not in found.values() and twice:
            found[name] = other
    return found


# The parameters of forward and backward.
_GIVEN = _words(
    """
    x: x orig original convin poolin xin input inputs inp a aprev image images data img z inputdata
        activations features batch zin xbatch
    weight: w weight weights kernel kernels filter filters filt theta wmat gamma
    bias: b bias biases beta
    dout: dout dz da dy grad grads gradout gradoutput outputgradient dloutput dldout dvalues delta
        upstream dldy error deltas outgrad outputgrad gradient gradients dl gout g d douts dnext
        accumgrad gradin
    cache: cache caches ctx memory saved
    lr: lr learningrate learnrate alpha eta rate stepsize
    labels: y t labels label target targets ytrue truth yb classes ybatch onehot ytrain yonehot
        truelabels targetindex labelindex yindex onehotlabels groundtruth gt
    logits: x logits scores ypred yhat output outputs pred preds predictions z probs probabilities a
        inputs input out al p yscores activations prediction prob probas
    training: training train istraining trainflg trainflag
    """
)


def given_named(name: str, among: tuple[str, ...]) -> str | None:
    word = bare(name)
    return next((role for role in among if word in _GIVEN[role].split()), None)


# The arrays that a layer keeps.
_WEIGHT = "w weight weights kernel kernels filter filters filt theta k wt wmat gamma"
_BIAS = "b bias biases bs beta w0"


def array_named(name: str) -> str | None:
    """weight, bias, dweight, dbias, dx, out; None for another name."""
    word = bare(name)
    core, derived = word, False
    for pattern in ("^dl?d?l?(?=.)", "^(grad(ient)?(s)?(of|wrt)?|delta)", "(grad(ient)?(s)?)$"):
        shorter = re.sub(pattern, "", word)
        if shorter != word and (
            shorter in f"{_WEIGHT} {_BIAS} x input inputs aprev data".split() or _long(shorter)
        ):
            core, derived = shorter, True
            break
    for role, words in (("weight", _WEIGHT), ("bias", _BIAS), ("x", "x input inputs aprev data")):
        if core in words.split() or _long(core) == role:
            if role == "x":
                return "dx" if derived else None
            return f"d{role}" if derived else role
    return "out" if word in ("out", "output", "outputs", "result", "y") else None


_STATE = "(running|moving|run|mov|avg|average|ema|global|population|pop|inference|test)(avg|average)?"


def state_named(name: str) -> str | None:
    """running_mean or running_var of a batch normalisation; None for another name."""
    word = bare(str(name))
    for state, names in (
        ("running_mean", "(means?|mu)"),
        ("running_var", "(vars?|variances?|sigma2|sigmasq)"),
    ):
        if re.fullmatch(f"{_STATE}{names}|{names}{_STATE}", word):
            return state
    return None


def _long(word: str) -> str | None:
    """filterWeights, conv_biases."""
    match = re.fullmatch("(filter|kernel|conv|fc|dense|layer|linear)(weight|bias)(e?s)?", word)
    return match[2] if match else None
