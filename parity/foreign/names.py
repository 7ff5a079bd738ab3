"""What people call layers, arguments, weights and gradients, each name reduced to its letters.

The tables are English. A name in another language is put into English word by word before it is looked up.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

_UPDATE, _STEP = "(update((params|parameters|weights)?(with|using|by))?)?", "(step|update|(learning)?rule)?"
_ENTROPY = "crossentropy|xent|kreuzentropie|entropiacruzada|entropiecroisee|entropiaincrociata"
_LOSS = "loss|cost|error|perdida|perda|perte|verlust|fehler|costo|custo|cout|erreur|perdita"
_KINDS = {
    "Conv2D": "conv(olve|olution(al)?)?(2d)?",
    "ReLU": "relu|rectifier|rect(lin)?|rectifiedlinear(unit)?",
    "MaxPool2D": "max(imum)?pool(ing)?(2d)?|pool(ing)?(2d)?max",
    "AvgPool2D": "(avg|average|mean)pool(ing)?(2d)?|pool(ing)?(2d)?(avg|average|mean)",
    "BatchNorm2D": "(spatial)?(batchnorm(ali[sz](ation|e|er))?|bn)(1d|2d)?",
    "Dropout": "(inverted)?dropout(1d|2d)?",
    "Flatten": "flatten(ing|er)?|flat",
    "Dense": "dense|linear|affine|fc|full(y)?(connected|connect)|innerproduct",
    "CrossEntropyLoss": f"(?=.*({_ENTROPY}))({_ENTROPY}|{_LOSS}|softmax|with|and|from|multi|class|sparse|"
    "categorical|logits|temporal|activation|compute|calc|calculate|get|stable|batch)*"
    f"|(temporal)?softmax(with)?({_LOSS}|ce|entropy|(neg(ative)?)?loglikelihood|nll)"
    f"|(neg(ative)?)?loglikelihood(with)?(softmax|cost)|c?ce",
    "SGD": f"{_UPDATE}((stochastic|minibatch|batch)?(s?gd|gradientdescent)((with)?(momentum|nesterov))?"
    f"|descent(with)?momentum|momentum(s?gd)?|nesterov(s?gd|momentum)?){_STEP}|update(params|parameters|weights)",
    "Adam": f"{_UPDATE}(adam(gd)?|adaptivemoments?(estimation)?){_STEP}",
}
_AFFIXES = (
    "layer|node|block|activation|sum|mean|optimi[sz]er|loss|cost|function|op|module|my|custom|manual|numpy|np|simple|"
    "naive|fast|im2col|vectori[sz]ed|strided|strides|stride\\d|loop(s)?|basic|student|"
    "valid|transform|cython|scipy|fft|\\d+x\\d+|\\d+|v\\d+"
)
# Names that other things have, too: such a one is examined only if its numbers are right.
_DOUBTFUL = {
    "Flatten": "reshape|ravel|unroll|vectori[sz]e",
    "Dense": "hidden",
    "MaxPool2D": "max(imum)?",
    "AvgPool2D": "avg|average|mean",
}


def _words(table: str) -> dict[str, str]:
    """Of each line `role: word word`, which may go on in the next."""
    return dict(re.findall(r"(\w+): ([^:]*?)(?=\s+\w+:|\s*$)", table))


def bare(name: str) -> str:
    """Letters and digits alone, in lower case and without accents: "A_prev" is "aprev", "Größe" "groesse"."""
    plain = name.lower().translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"})
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if c.isalnum())


# German, French, Spanish, Portuguese, Italian, and Chinese in pinyin and in characters: "English: theirs".
# Plurals stand by themselves where the tables here tell them apart, German words as longer ones hold them.
_FOREIGN = _words(
    """
    layer: schicht ebene couche capa camada strato livello ceng 层
    convolution: faltung faltungs faltend konvolution konvolutions convolutif convolutive convolutionnelle
        convolucion convolucional convolutiva convolucao convoluzione convoluzionale juanji 卷积
    pooling: buendelung buendelungs sousechantillonnage agrupacion agrupamiento submuestreo agrupamento
        subamostragem sottocampionamento chihua 池化
    max: maximal maximo maxima massimo massima zuida 最大
    mean: mittel mittelwert durchschnitt durchschnitts moyenne moyen promedio media medio pingjun junzhi 平均
        均值
    rectifier: gleichrichter gleichrichtung redresseur rectificador rectificadora retificador retificadora
        raddrizzatore
    flatten: glaetten glaettung abflachen abflachung ebnen einebnen aplatir aplatissement aplanar aplanado
        aplanamiento aplanadora achatar achatamento aplainar appiattire appiattimento appiattisci zhanping
        展平 扁平化
    dense: dicht dichte densa denso densamente
    full: voll vollstaendig entierement completement pleinement totalement totalmente completamente quan 全
    connected: verbunden verbundene vernetzt connecte connectee connectees conectada conectado conectadas
        connessa connesso lianjie 连接
    batch: stapel lot lots lote lotes lotto lotti pi 批 批量
    normalization: normalisierung normierung normalisation normalizacion normalizacao normalizzazione
        guiyihua biaozhunhua 归一化 标准化
    cross: kreuz croisee cruzada incrociata jiaocha 交叉
    entropy: entropie entropia shang 熵
    loss: verlust verlustfunktion kosten perte cout perdida coste costo perda custo perdita sunshi 损失
    descent: abstieg descente descenso descida discesa xiajiang 下降
    momentum: impuls moment momento impulso dongliang 动量
    forward: vorwaerts vor avant adelante frente avanti qianxiang 前向 正向
    backward: rueckwaerts zurueck arriere atras tras indietro fanxiang houxiang 反向 后向
    propagation: ausbreitung propagacion propagacao propagazione chuanbo 传播
    propagate: propagieren propagiere propager propage propagar propaga propagare
    backpropagation: rueckpropagierung rueckausbreitung retropropagation retropropagacion retropropagacao
        retropropagazione
    backpropagate: rueckpropagieren retropropager retropropage retropropagar retropropaga retropropagare
    calculate: berechnen berechne calculer calcule calcular calcula calcolare calcola jisuan 计算
    derivative: ableitung ableiten derivee deriver derivada derivar derivata deriva daoshu 导数
    update: aktualisieren aktualisiere aktualisierung mettreajour miseajour actualizar actualiza atualizar
        atualiza aggiornare aggiorna gengxin 更新
    step: schritt schrittweite schrittlaenge pas paso passo buchang bufu 步长 步幅
    padding: rand raender polsterung auffuellung fuellung marge bourrage remplissage relleno margen
        preenchimento margem riempimento margine tianchong 填充
    size: groesse taille tamano tamanho taglia grandezza daxiao chicun 大小 尺寸
    kernel: kern kerne kerns noyau noyaux nucleo nucleos nuclei juanjihe 卷积核 核
    filter: filtre filtro
    filters: filtres filtros filtri
    window: fenster fenetre ventana janela finestra chuangkou 窗口
    height: hoehe hauteur alto altura altezza gao 高 高度
    width: breite largeur ancho anchura largura larghezza kuan 宽 宽度
    channels: kanal kanaele kanaelen canal canaux canales canais canale canali tongdao 通道
    num: anzahl zahl nb nbre nombre numero cantidad quantidade qtd geshu shuliang 数 数量 个数
    in: ein rein
    out: aus raus
    input: eingang eingangs eingabe eingabewert entree entrada ingresso shuru 输入
    inputs: eingaenge eingaben eingabewerte entrees entradas ingressi
    output: ausgang ausgangs ausgabe sortie salida saida uscita shuchu 输出
    outputs: ausgaenge ausgaben ausgabewerte sorties salidas saidas uscite
    image: bild imagen imagem immagine tupian 图片 图像
    images: bilder imagenes imagens immagini
    neurons: neuron neuronen neurones neuronas neuronios neuroni shenjingyuan 神经元
    units: einheiten unites unidades unita danyuan
    weights: gewicht gewichte gewichts gewichtung poids peso pesos pesi quanzhong 权重
    bias: schwelle schwellen schwellwert schwellwerte verzerrung biais sesgo sesgos vies distorsione
        pianzhi 偏置
    gradient: gradienten gradiente gradientes gradienti tidu 梯度
    error: fehler erreur erro erros errore errores errori wucha 误差
    labels: etikett etiketten klasse klassen etiquette etiquettes etiqueta etiquetas rotulo rotulos
        etichetta etichette classe clase clases biaoqian 标签
    rate: taux tasa taxa tasso 率
    learning: lern lernen apprentissage aprendizaje aprendizado aprendizagem apprendimento xuexi 学习
    learningrate: lernrate xuexilv
    training: trainieren trainiert entrainement entrenando entrenamiento entrenar treinando treinamento
        treino addestramento xunlian 训练
    probability: wahrscheinlichkeit probabilite probabilidad probabilidade probabilita gailv 概率
    activation: aktivierung activacion ativacao attivazione jihuo 激活
    seed: startwert semilla semente graine seme zhongzi 种子
    mode: modus modo
    running: laufend laufende laufender laufendes gleitend glissante courante movil movel mobile yidong 移动
    var: varianz varianza varianca fangcha 方差
    with: mit avec con com
    of: de del du des della do da dos di par por per 的
    """
)
# English words that stand among theirs: "d_gewichte", "CapaReLU".
_SHARED = (
    "d n num nr x a z in out input output max min mean pool pooling relu conv convolution conv2d 2d dense "
    "linear full connected flatten dropout softmax batch norm cross entropy loss filter filters kernel bias "
    "gamma beta size rate grad grads gradient delta error image layer sgd adam momentum epsilon eps forward "
    "backward step stride padding mode test total avg activation propagation prev sum"
)
_ENGLISH = {word: word for word in _SHARED.split()} | {
    word: english for english, words in _FOREIGN.items() for word in words.split()
}


@cache
def _pairs(word: str) -> tuple[tuple[str, str], ...] | None:
    """Its words with their English: "faltungsschicht" is faltungs and schicht. None if any is unknown."""
    if not word:
        return ()
    for end in range(len(word), 0, -1):
        if (english := _ENGLISH.get(word[:end])) and (rest := _pairs(word[end:])) is not None:
            return ((word[:end], english), *rest)
    return None


@cache
def readings(name: str) -> tuple[str, ...]:
    """What to look up for a name: its letters, and if it is not English its words, in every order.

    "taille_noyau" is "size kernel", and so "kernelsize".
    """
    word = bare(name)
    pairs = [pair for pair in _pairs(word) or () if pair[1] != "of"]
    if all(theirs == english for theirs, english in pairs):
        return (word,)
    words = [english for _, english in pairs]
    orders = itertools.permutations(words) if len(words) < 5 else [words, words[::-1]]
    return tuple(dict.fromkeys([word, *map("".join, orders)]))


def spellings(*words: str) -> str:
    """A pattern of what these English words are in the other languages, too."""
    theirs = [word for english in words for word in _FOREIGN.get(english, "").split()]
    return "|".join([*words, *theirs])


def kinds_named(name: str) -> tuple[str, ...]:
    """The kinds that a class or function of this name may be of: "Conv3x3" is a Conv2D."""
    forms: set[str] = set()
    for words in readings(name):
        stripped = re.sub(f"^({_AFFIXES})+(?=[a-z]{{2}})", "", words)
        for form in (words, stripped, words.replace("layer", "")):  # ConvLayer2D
            forms |= {form, re.sub(f"({_AFFIXES})+$", "", form)}
    found = tuple(kind for kind, pattern in _KINDS.items() if any(re.fullmatch(pattern, f) for f in forms))
    if not found and {"pool", "pooling", "pool2d", "pooling2d"} & forms:
        return "MaxPool2D", "AvgPool2D"
    return found or doubtful(name)


def doubtful(name: str) -> tuple[str, ...]:
    """The kinds that a name may mean which other things have, too."""
    words = [word.replace("layer", "") for word in readings(name)]
    return tuple(k for k, pattern in _DOUBTFUL.items() if any(re.fullmatch(pattern, w) for w in words))


# The parameters of constructors, and the keys of dictionaries that stand for them.
_ARGUMENTS = _words(
    """
    in_channels: inchannels inchannel inputchannels inputchannel cin nin nchannels channels c inc
        inputdepth indepth inplanes ncprev channelsin inch inputc inputs infeaturemaps nchannel numinput
        depthin inchans chin nchin prevchannels channelsprev
    out_channels: outchannels outchannel outputchannels outputchannel cout nout filters nfilters nfilter
        filternum filtersnum nf numkernels nkernels kernelnum outputdepth outdepth outc outplanes nc
        channelsout outch numoutput noutput numfilter fn depth features depthout outchans chout nchout
        filtercount kernelcount
    kernel_size: kernelsize kernel filtersize filterdim fsize ksize k f size kernelshape filtershape
        fieldsize kerneldim window windowsize windowshape poolsize poolshape poolingsize pooling pool
        kernelwidthheight kerneldims filterdims ks fs winsize kernelsizes poolkernel poolkernelsize
    kernel_height: kernelheight kernelh kh fh hh filterheight filterh poolheight poolh windowheight sizeh
        hf
    kernel_width: kernelwidth kernelw kw fw ww filterwidth filterw poolwidth poolw windowwidth sizew wf
    stride: stride stridelength strides s step steps stridesize convstride poolstride
    padding: padding padwidth pad p zeropadding zeropad padsize paddingsize npad pads paddings padamount
        border
    bias: bias usebias withbias hasbias addbias includebias
    in_features: infeatures inputs inputsize ninputs inputdim indim nin insize inputfeatures fanin din nx
        nfeatures inp nodesin inputunits inputlen inunits dimin ninput inputnodes inputshape inchannels
        sizein inneurons inputneurons prevunits unitsprev innodes nprev prevsize inputnum neuronsin insz
    out_features: outfeatures outputs outputsize nneurons outputdim outdim nout outsize units neurons
        outputfeatures fanout dout ny hiddensize nodes nodesout noutputs outputunits outunits dimout
        noutput outputnodes nunits outputshape m outchannels sizeout outneurons outputneurons unitscurr
        outnodes nnodes ncurr outputnum neuronsout outsz
    input_shape: inputshape inshape inputsize shape imageshape inputdim inputdims
    output_shape: outputshape outshape targetshape newshape shapeout
    lr: lr lrate learningrate learnrate alpha eta rate stepsize
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
    num_features: nfeatures features nfeature channels nchannels channel c dim d size ndim nin nout
        infeatures insize inputsize inputdim units nunits neurons nneurons numfeature featuresize
        inchannels inc outchannels hiddensize
    old_share: decay decayrate runningdecay movingdecay alpha
    drop: rate p droprate dropoutrate dropprob dropoutprob dropprobability dropoutprobability dropoutratio
        dropratio ratio prob probability pdrop drop dropout pdropout
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
    Flatten: input_shape output_shape
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
    for word in readings(name):
        short = re.sub("^(num(ber)?|nr)(of)?(?=...)", "", word)  # num_input_channels
        for argument in f"{_BY_KIND.get(kind, '')} {_IN_EVERY}".split():
            if {word, short} & set(_ARGUMENTS[argument].split()):
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
    lr: lr lrate learningrate learnrate alpha eta rate stepsize
    labels: y t labels label target targets ytrue truth yb classes ybatch onehot ytrain yonehot
        truelabels targetindex labelindex yindex onehotlabels groundtruth gt
    logits: x logits scores ypred yhat output outputs pred preds predictions z probs probabilities a
        inputs input out al p yscores activations prediction prob probas
    training: training train istraining trainflg trainflag
    """
)


def given_named(name: str, among: tuple[str, ...]) -> str | None:
    words = readings(name)
    return next((role for word in words for role in among if word in _GIVEN[role].split()), None)


# The arrays that a layer keeps.
_WEIGHT = "w weight weights kernel kernels filter filters filt theta k f wt wmat weightmatrix gamma bw"
_BIAS = "b bias biases bs biasvector beta w0 bb"


def array_named(name: str) -> str | None:
    """weight, bias, dweight, dbias, dx, out; None for another name."""
    return next((role for word in readings(name) if (role := _array(word))), None)


def _array(word: str) -> str | None:
    core, derived = word, False
    for pattern in (
        "^d(([ljec]|loss|cost|error)d|l?d?l?)(?=.)",  # dW, dL_dW, dE_dW
        "^(grad(ient)?(s)?(of|wrt)?|delta|nabla|g(?=[wbx]$))",
        "(grad(ient)?(s)?)$",
    ):
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
    for state, names in (
        ("running_mean", "(means?|mu|m)"),
        ("running_var", "(vars?|variances?|sigma2|sigmasq|v)"),
    ):
        if any(re.fullmatch(f"{_STATE}{names}|{names}{_STATE}", word) for word in readings(str(name))):
            return state
    return None


def _long(word: str) -> str | None:
    """filterWeights, conv_biases."""
    match = re.fullmatch("(filter|kernel|conv|fc|dense|layer|linear)(weight|bias)(e?s)?", word)
    return match[2] if match else None
